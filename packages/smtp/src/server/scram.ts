/**
 * The server's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677), without any
 * cryptography of its own: each digest is a question.
 *
 * This file must not know where verifiers are kept.
 */
import { decodeBase64, encodeBase64 } from "../base64.ts";
import { decodeUtf8, encodeUtf8 } from "../wire-text.ts";
import type { ScramVerifier } from "./actions.ts";
import type { TlsInformation } from "./options.ts";
import { replies } from "./replies.ts";
import {
  decodeSaslName,
  failed,
  type SaslAnswer,
  type SaslExchange,
  type SaslStep,
} from "./sasl.ts";

type Mechanism = "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS";

/** What the client's first message says. */
interface First {
  /** The GS2 header with its two commas. */
  readonly header: string;
  readonly bare: string;
  /** The name of the channel binding with `p=`. */
  readonly binding?: string;
  readonly user: string;
  readonly authorizationId?: string;
  readonly nonce: string;
}

/** How far the exchange is; each stage holds what the next needs. */
type Stage =
  | { readonly at: "first" }
  | { readonly at: "verifier"; readonly first: First }
  | {
    readonly at: "final";
    readonly first: First;
    readonly verifier: ScramVerifier;
    readonly challenge: string;
  }
  | {
    readonly at: "clientSignature" | "storedKey" | "serverSignature";
    readonly first: First;
    readonly verifier: ScramVerifier;
    readonly authMessage: Uint8Array;
    readonly proof: Uint8Array;
  }
  | { readonly at: "verdict"; readonly serverSignature: Uint8Array }
  | { readonly at: "end"; readonly step: SaslStep };

/** Begins an exchange; `plusOffered` tells a downgrade (RFC 5802 §6). */
export function beginScram(
  mechanism: Mechanism,
  tls: TlsInformation,
  plusOffered: boolean,
): SaslExchange {
  let stage: Stage = { at: "first" };

  function readFirst(response: Uint8Array): SaslStep {
    const first = parseFirst(decodeUtf8(response) ?? "");
    if (first === undefined) return failed(replies.saslSyntax);
    const plus = mechanism === "SCRAM-SHA-256-PLUS";
    if ((first.binding !== undefined) !== plus) return failed(replies.saslSyntax);
    if (plus && bindingData(first) === undefined) return failed(replies.bindingMismatch);
    // "y": the client could bind and thinks that we cannot. Somebody took PLUS out of our offer.
    if (first.header.startsWith("y") && plusOffered) return failed(replies.bindingMismatch);
    stage = { at: "verifier", first };
    return { kind: "question", question: { type: "scram", mechanism, user: first.user } };
  }

  function bindingData(first: First): Uint8Array | undefined {
    return tls.channelBindings?.find(({ type }) => type === first.binding)?.data;
  }

  function readFinal(response: Uint8Array, at: Extract<Stage, { at: "final" }>): SaslStep {
    const text = decodeUtf8(response) ?? "";
    const parts = /^c=([A-Za-z0-9+/=]+),r=([^,]+)((?:,[A-Za-z]=[^,]*)*),p=([A-Za-z0-9+/=]+)$/
      .exec(text);
    const proof = parts === null ? undefined : decodeBase64(parts[4]!);
    if (parts === null || proof === undefined || proof.length !== 32) {
      return failed(replies.saslSyntax);
    }
    const header = encodeUtf8(at.first.header);
    const data = at.first.binding === undefined ? undefined : bindingData(at.first);
    const expected = new Uint8Array(header.length + (data?.length ?? 0));
    expected.set(header);
    if (data !== undefined) expected.set(data, header.length);
    if (parts[1] !== encodeBase64(expected)) return failed(replies.bindingMismatch);
    if (parts[2] !== at.first.nonce + at.verifier.nonce) return failed(replies.credentialsBad);
    const withoutProof = text.slice(0, text.lastIndexOf(",p="));
    const authMessage = encodeUtf8(`${at.first.bare},${at.challenge},${withoutProof}`);
    stage = {
      at: "clientSignature",
      first: at.first,
      verifier: at.verifier,
      authMessage,
      proof,
    };
    return hmac(at.verifier.storedKey, authMessage);
  }

  function answeredDigest(
    digest: Uint8Array,
    at: Extract<Stage, { readonly authMessage: Uint8Array }>,
  ): SaslStep {
    switch (at.at) {
      case "clientSignature": {
        const clientKey = at.proof.map((byte, index) => byte ^ (digest[index] ?? 0));
        stage = { ...at, at: "storedKey" };
        return {
          kind: "question",
          question: { type: "digest", algorithm: "SHA-256", data: clientKey },
        };
      }
      case "storedKey":
        if (!equal(digest, at.verifier.storedKey)) return failed(replies.credentialsBad);
        stage = { ...at, at: "serverSignature" };
        return hmac(at.verifier.serverKey, at.authMessage);
      case "serverSignature": {
        const { user, authorizationId } = at.first;
        stage = { at: "verdict", serverSignature: digest };
        const credentials = {
          kind: "scram",
          mechanism,
          user,
          ...(authorizationId === undefined ? {} : { authorizationId }),
        } as const;
        return { kind: "question", question: { type: "auth", credentials } };
      }
    }
  }

  function answered(answer: SaslAnswer): SaslStep {
    if (stage.at === "verifier" && answer.kind === "verifier") {
      const { verifier } = answer;
      if (verifier === undefined) return failed(replies.credentialsBad);
      const challenge = `r=${stage.first.nonce}${verifier.nonce},s=${
        encodeBase64(verifier.salt)
      },i=${verifier.iterations}`;
      stage = { at: "final", first: stage.first, verifier, challenge };
      return { kind: "challenge", data: encodeUtf8(challenge) };
    }
    if ("authMessage" in stage && answer.kind === "digest") {
      return answeredDigest(answer.digest, stage);
    }
    if (answer.kind === "verdict" && answer.reply !== undefined && answer.reply.code >= 300) {
      return failed(answer.reply);
    }
    if (stage.at === "verdict" && answer.kind === "verdict") {
      const signature = encodeUtf8(`v=${encodeBase64(stage.serverSignature)}`);
      const { reply } = answer;
      stage = { at: "end", step: reply === undefined ? { kind: "done" } : { kind: "done", reply } };
      return { kind: "challenge", data: signature };
    }
    return failed(replies.credentialsBad);
  }

  return {
    prompt: new Uint8Array(0),
    respond(response) {
      if (stage.at === "first") return readFirst(response);
      if (stage.at === "final") return readFinal(response, stage);
      return stage.at === "end" ? stage.step : failed(replies.saslSyntax);
    },
    answered,
  };
}

function hmac(key: Uint8Array, data: Uint8Array): SaslStep {
  return { kind: "question", question: { type: "digest", algorithm: "HMAC-SHA-256", key, data } };
}

function parseFirst(text: string): First | undefined {
  const parts =
    /^((?:n|y|p=([A-Za-z0-9.-]+)),(?:a=([^,]+))?,)(n=([^,]+),r=([!-+\--~]{1,256})(?:,[A-Za-z]=[^,]*)*)$/
      .exec(text);
  if (parts === null) return undefined;
  const user = decodeSaslName(parts[5]!);
  const authorizationId = decodeSaslName(parts[3] ?? "");
  if (user === undefined || authorizationId === undefined) return undefined;
  return {
    header: parts[1]!,
    bare: parts[4]!,
    user,
    nonce: parts[6]!,
    ...(parts[2] === undefined ? {} : { binding: parts[2] }),
    ...(authorizationId === "" ? {} : { authorizationId }),
  };
}

/** Compares in a time that does not tell where they differ. */
function equal(one: Uint8Array, other: Uint8Array): boolean {
  let difference = one.length ^ other.length;
  for (let index = 0; index < one.length; index++) {
    difference |= one[index]! ^ (other[index] ?? 0);
  }
  return difference === 0;
}
