/**
 * The server's side of the SASL mechanisms of AUTH but SCRAM: PLAIN (RFC 4616), LOGIN, OAUTHBEARER
 * (RFC 7628) and XOAUTH2. Each is a small machine: responses and answers in, steps out.
 *
 * This file must not know SMTP's lines and replies' timing, or who the users are.
 */
import type { Reply } from "../reply.ts";
import { decodeUtf8, encodeUtf8 } from "../wire-text.ts";
import type {
  AuthMechanism,
  AuthQuestion,
  Credentials,
  DigestQuestion,
  ScramQuestion,
  ScramVerifier,
} from "./actions.ts";
import type { TlsInformation } from "./options.ts";
import { replies } from "./replies.ts";
import { beginScram } from "./scram.ts";

/** What comes next in an exchange. */
export type SaslStep =
  | { readonly kind: "challenge"; readonly data: Uint8Array }
  | { readonly kind: "question"; readonly question: AuthQuestion | ScramQuestion | DigestQuestion }
  | { readonly kind: "done"; readonly reply?: Reply }
  | { readonly kind: "failed"; readonly reply: Reply };

/** The adapter's answer to a question of an exchange. */
export type SaslAnswer =
  | { readonly kind: "verdict"; readonly reply: Reply | undefined }
  | { readonly kind: "verifier"; readonly verifier: ScramVerifier | undefined }
  | { readonly kind: "digest"; readonly digest: Uint8Array };

/** One exchange. */
export interface SaslExchange {
  /** The client's response, decoded; the first one may come with the AUTH command. */
  readonly respond: (response: Uint8Array) => SaslStep;
  readonly answered: (answer: SaslAnswer) => SaslStep;
  /** The challenge when the client gave no initial response. */
  readonly prompt: Uint8Array;
}

/** A step that ends the exchange with a refusal. */
export function failed(reply: Reply): SaslStep {
  return { kind: "failed", reply };
}

/** The step that the adapter's verdict over credentials leads to. */
export function verdictStep(answer: SaslAnswer): SaslStep {
  if (answer.kind !== "verdict") return failed(replies.credentialsBad);
  const { reply } = answer;
  if (reply === undefined) return { kind: "done" };
  return reply.code < 300 ? { kind: "done", reply } : failed(reply);
}

const nothing = new Uint8Array(0);

function ask(credentials: Credentials): SaslStep {
  return { kind: "question", question: { type: "auth", credentials } };
}

/** Begins an exchange. */
export function beginSasl(
  mechanism: AuthMechanism,
  tls: TlsInformation,
  plusOffered: boolean,
): SaslExchange {
  switch (mechanism) {
    case "PLAIN":
      return { prompt: nothing, respond: readPlain, answered: verdictStep };
    case "LOGIN":
      return beginLogin();
    case "OAUTHBEARER":
    case "XOAUTH2":
      return beginToken(mechanism);
    case "SCRAM-SHA-256":
    case "SCRAM-SHA-256-PLUS":
      return beginScram(mechanism, tls, plusOffered);
  }
}

function readPlain(response: Uint8Array): SaslStep {
  const parts = decodeUtf8(response)?.split("\0");
  if (parts === undefined || parts.length !== 3) return failed(replies.saslSyntax);
  const [authorizationId, user, password] = parts as [string, string, string];
  if (user === "" || password === "") return failed(replies.credentialsBad);
  return ask({
    kind: "password",
    mechanism: "PLAIN",
    user,
    password,
    ...(authorizationId === "" ? {} : { authorizationId }),
  });
}

function beginLogin(): SaslExchange {
  let user: string | undefined;
  return {
    prompt: encodeUtf8("Username:"),
    respond(response) {
      const text = decodeUtf8(response);
      if (text === undefined || text.includes("\0")) return failed(replies.saslSyntax);
      if (user === undefined) {
        user = text;
        return { kind: "challenge", data: encodeUtf8("Password:") };
      }
      if (user === "" || text === "") return failed(replies.credentialsBad);
      return ask({ kind: "password", mechanism: "LOGIN", user, password: text });
    },
    answered: verdictStep,
  };
}

/** What a client is told of a bad token before it may be told 535 (RFC 7628 §3.2.2). */
const tokenProblem = {
  OAUTHBEARER: encodeUtf8('{"status":"invalid_token"}'),
  XOAUTH2: encodeUtf8('{"status":"401","schemes":"bearer"}'),
} as const;

function beginToken(mechanism: "OAUTHBEARER" | "XOAUTH2"): SaslExchange {
  let refusal: Reply | undefined;
  return {
    prompt: nothing,
    respond(response) {
      // After the problem was told, whatever the client says ends the exchange.
      if (refusal !== undefined) return failed(refusal);
      const credentials = readToken(mechanism, decodeUtf8(response));
      return credentials === undefined ? failed(replies.saslSyntax) : ask(credentials);
    },
    answered(answer) {
      const step = verdictStep(answer);
      if (step.kind !== "failed" || step.reply.code === 421) return step;
      refusal = step.reply;
      return { kind: "challenge", data: tokenProblem[mechanism] };
    },
  };
}

function readToken(
  mechanism: "OAUTHBEARER" | "XOAUTH2",
  text: string | undefined,
): Credentials | undefined {
  const fields = text?.split("\x01");
  // Both end with two ^A: the last field's, and the message's.
  if (fields === undefined || fields.length < 4) return undefined;
  if (fields.at(-1) !== "" || fields.at(-2) !== "") return undefined;
  const head = fields[0]!;
  const named = mechanism === "XOAUTH2"
    ? /^user=(.*)$/s.exec(head)
    : /^[ny],(?:a=([^,]*))?,$/s.exec(head);
  if (named === null) return undefined;
  const bearer = fields.slice(1).map((field) => /^auth=Bearer +([!-~]+)$/i.exec(field))
    .find((found) => found !== null);
  if (bearer === undefined) return undefined;
  const user = mechanism === "XOAUTH2" ? named[1] : decodeSaslName(named[1] ?? "");
  return {
    kind: "token",
    mechanism,
    token: bearer![1]!,
    ...(user === undefined || user === "" ? {} : { user }),
  };
}

/** `=2C` and `=3D` of RFC 5802 §5.1; `undefined` where another `=` stands. */
export function decodeSaslName(name: string): string | undefined {
  if (/=(?!2C|3D)/.test(name)) return undefined;
  return name.replace(/=2C/g, ",").replace(/=3D/g, "=");
}
