/**
 * The client's side of the SASL mechanisms: what to answer to each challenge of AUTH (RFC 4954).
 * SCRAM-SHA-256 (RFC 5802, RFC 7677), PLAIN (RFC 4616), LOGIN, OAUTHBEARER (RFC 7628), XOAUTH2.
 *
 * This file must not know SMTP's lines, and does no cryptography: SCRAM's is asked of the adapter.
 */
import type { ScramProof, ScramProofQuestion } from "./actions.ts";
import { decodeBase64, encodeBase64 } from "../base64.ts";
import type { ClientCredentials } from "./options.ts";

/** What to do with a challenge. */
export type SaslStep =
  | { readonly kind: "respond"; readonly bytes: Uint8Array }
  | { readonly kind: "ask"; readonly question: ScramProofQuestion }
  | { readonly kind: "fail"; readonly detail: string };

/** One exchange with one mechanism. */
export interface SaslExchange {
  readonly mechanism: ClientMechanism;
  /** What may be sent with AUTH itself; absent where the server speaks first. */
  readonly initial?: Uint8Array;
  challenge(bytes: Uint8Array): SaslStep;
  /** The answer to the question asked. Only SCRAM asks. */
  proof?(proof: ScramProof): SaslStep;
  /** The server said 235: why that is not enough, or `undefined`. */
  complete(): string | undefined;
}

export type ClientMechanism = "SCRAM-SHA-256" | "PLAIN" | "LOGIN" | "OAUTHBEARER" | "XOAUTH2";

/** Mechanisms that show the password or the token to whoever reads along. */
const revealing: { readonly [mechanism in ClientMechanism]: boolean } = {
  "SCRAM-SHA-256": false,
  PLAIN: true,
  LOGIN: true,
  OAUTHBEARER: true,
  XOAUTH2: true,
};

const utf8 = new TextEncoder();
const decoder = new TextDecoder();
const empty = new Uint8Array(0);
const separator = "\x01";

/** The mechanisms to try, in order: ours, of those offered, that may be used on this connection. */
export function usableMechanisms(
  credentials: ClientCredentials,
  offered: readonly string[],
  revealingAllowed: boolean,
): readonly ClientMechanism[] {
  const wanted: readonly ClientMechanism[] = credentials.kind === "password"
    ? credentials.mechanisms ?? ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
    : credentials.mechanisms ?? ["OAUTHBEARER", "XOAUTH2"];
  return wanted.filter((name) => offered.includes(name) && (revealingAllowed || !revealing[name]));
}

/** Begins an exchange. The mechanism must fit the kind of credentials. */
export function beginSasl(
  mechanism: ClientMechanism,
  credentials: ClientCredentials,
): SaslExchange {
  if (credentials.kind === "token") {
    return bearer(mechanism === "XOAUTH2" ? "XOAUTH2" : "OAUTHBEARER", credentials);
  }
  switch (mechanism) {
    case "SCRAM-SHA-256":
      return new ScramExchange(credentials);
    case "LOGIN":
      return login(credentials);
    default:
      return {
        mechanism: "PLAIN",
        initial: utf8.encode(
          `${credentials.authorizationId ?? ""}\0${credentials.user}\0${credentials.password}`,
        ),
        challenge: () => ({ kind: "fail", detail: "PLAIN was answered with a challenge" }),
        complete: () => undefined,
      };
  }
}

type PasswordCredentials = Extract<ClientCredentials, { kind: "password" }>;
type TokenCredentials = Extract<ClientCredentials, { kind: "token" }>;

function login(credentials: PasswordCredentials): SaslExchange {
  // The prompts' wording differs between servers; only their order is certain.
  const answers = [credentials.user, credentials.password];
  return {
    mechanism: "LOGIN",
    challenge() {
      const answer = answers.shift();
      return answer === undefined
        ? { kind: "fail", detail: "LOGIN asked for more than user and password" }
        : { kind: "respond", bytes: utf8.encode(answer) };
    },
    complete: () => undefined,
  };
}

function bearer(
  mechanism: "OAUTHBEARER" | "XOAUTH2",
  { user, token }: TokenCredentials,
): SaslExchange {
  const head = mechanism === "XOAUTH2"
    ? `user=${user}${separator}`
    : `n,a=${escapeName(user)},${separator}`;
  let acknowledged = false;
  return {
    mechanism,
    initial: utf8.encode(`${head}auth=Bearer ${token}${separator}${separator}`),
    // The challenge is the error; it must be acknowledged before the server says 535.
    challenge() {
      if (acknowledged) return { kind: "fail", detail: `${mechanism} asked for more than a token` };
      acknowledged = true;
      return { kind: "respond", bytes: mechanism === "XOAUTH2" ? empty : utf8.encode(separator) };
    },
    complete: () => undefined,
  };
}

/** RFC 7677 §4 asks servers for at least 4096; the upper bound guards the adapter's time. */
const iterationBounds = { least: 4096, most: 1_000_000 };

class ScramExchange implements SaslExchange {
  readonly mechanism = "SCRAM-SHA-256";
  readonly initial: Uint8Array;
  readonly #password: string;
  readonly #nonce: string;
  readonly #header: string;
  readonly #bare: string;
  #final = "";
  #signature: Uint8Array | undefined;
  #state: "first" | "asked" | "final" | "verified" = "first";

  constructor(credentials: PasswordCredentials) {
    const { authorizationId, nonce, password, user } = credentials;
    this.#password = prepare(password);
    this.#nonce = nonce;
    this.#header = `n,${authorizationId ? `a=${escapeName(authorizationId)}` : ""},`;
    this.#bare = `n=${escapeName(prepare(user))},r=${nonce}`;
    this.initial = utf8.encode(this.#header + this.#bare);
  }

  challenge(bytes: Uint8Array): SaslStep {
    const text = decoder.decode(bytes);
    if (this.#state === "first") return this.#serverFirst(text);
    if (this.#state === "final") return this.#serverFinal(text);
    return { kind: "fail", detail: "unexpected challenge in SCRAM" };
  }

  #serverFirst(text: string): SaslStep {
    const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([0-9]{1,9})(?:,.*)?$/.exec(
      text,
    );
    const salt = match === null ? undefined : decodeBase64(match[2]!);
    if (match === null || salt === undefined) {
      return { kind: "fail", detail: "bad SCRAM challenge" };
    }
    const [, nonce, , count] = match;
    if (!nonce!.startsWith(this.#nonce) || nonce!.length === this.#nonce.length) {
      return { kind: "fail", detail: "SCRAM nonce does not match" };
    }
    const iterations = Number(count);
    if (iterations < iterationBounds.least || iterations > iterationBounds.most) {
      return { kind: "fail", detail: `SCRAM iteration count ${iterations}` };
    }
    this.#final = `c=${encodeBase64(utf8.encode(this.#header))},r=${nonce}`;
    this.#state = "asked";
    const authMessage = utf8.encode(`${this.#bare},${text},${this.#final}`);
    return {
      kind: "ask",
      question: { type: "scramProof", password: this.#password, salt, iterations, authMessage },
    };
  }

  proof(proof: ScramProof): SaslStep {
    this.#signature = proof.serverSignature;
    this.#state = "final";
    const final = `${this.#final},p=${encodeBase64(proof.clientProof)}`;
    return { kind: "respond", bytes: utf8.encode(final) };
  }

  #serverFinal(text: string): SaslStep {
    const error = /^e=([^,]*)/.exec(text);
    if (error !== null) return { kind: "fail", detail: `SCRAM error ${error[1]}` };
    const claimed = /^v=([A-Za-z0-9+/=]+)(?:,|$)/.exec(text)?.[1];
    if (claimed === undefined || claimed !== encodeBase64(this.#signature!)) {
      return { kind: "fail", detail: "the server does not know the password" };
    }
    this.#state = "verified";
    return { kind: "respond", bytes: empty };
  }

  complete(): string | undefined {
    return this.#state === "verified"
      ? undefined
      : "the server did not prove that it knows the password";
  }
}

/** RFC 5802 §5.1: `=` and `,` in names. */
function escapeName(name: string): string {
  return name.replaceAll("=", "=3D").replaceAll(",", "=2C");
}

/** What of SASLprep (RFC 4013 §2.1–2.2) changes real passwords: spaces, soft hyphens, NFKC. */
function prepare(text: string): string {
  return text.replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, " ")
    .replace(/[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/gu, "")
    .normalize("NFKC");
}
