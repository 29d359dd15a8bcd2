/**
 * Delivery by HTTP: a POST of the content as it stands, the envelope in header fields, signed.
 *
 *     POST /inbound HTTP/1.1
 *     Content-Type: message/rfc822
 *     Idempotency-Key: the same at each attempt for this message, place and recipients, and no other
 *     Postern-Message: the queue id
 *     Postern-Reverse-Path: the reverse-path; empty for the null one
 *     Postern-Forward-Path: the forward-paths, separated by commas
 *     Postern-Signature: t=SECONDS,v1=HEX
 *
 * Addresses are percent-encoded but for letters, digits and @ . + - _ ~ = (RFC 3986 §2.1). The
 * signature is there if the relay has a secret: HMAC-SHA-256 with it of the time (seconds since
 * 1970), the key, the reverse-path and the forward-path as they stand in their fields, each followed
 * by a full stop, and the content.
 *
 * 2xx is delivered; 4xx bounces, but for 408, 409, 425 and 429; all else is tried again, not before
 * Retry-After. Redirects are not followed. What requires TLS (RFC 8689) is posted by https only, whose
 * certificates are always checked.
 */
import { createHash, createHmac } from "node:crypto";
import type { Relay } from "@postern/config";
import type { MailParameters } from "@postern/smtp";
import type { ClaimedDelivery, ClaimedRecipient } from "@postern/store";
import { type Content, editedContent } from "./content.ts";
import { ClaimUncertain, whileHeld } from "./content-sender.ts";
import { copiesOf, type Copy, routedPath } from "./copies.ts";
import type { Delivering } from "./delivering.ts";
import { type Attempt, type Verdict, verdictForAll } from "./verdict.ts";

type HttpRelay = Extract<Relay, { kind: "http" }>;

/** Recipients of one request, where the relay does not say: servers take some 8 KB of header. */
const RECIPIENTS_PER_REQUEST = 50;

/** Large content gets a second more for each of so many bytes. */
const BYTES_PER_SECOND = 100_000;

/** Characters of an answer's body that are kept to be shown. */
const SHOWN_CHARACTERS = 200;

/** Of 4xx, those that are about the moment and not about the message. */
const PASSING = [408, 409, 425, 429];

/** The answers that say that nothing else would be taken now either. */
const ABOUT_THE_SERVER = [429, 502, 503, 504];

/** What became of one request. */
interface Answer {
  readonly status: Verdict["status"];
  readonly reply: string;
  readonly notBefore?: Date;
  readonly isDestinationFailure?: boolean;
}

/** Where it is not certain that the delivery is still this worker's, nothing is posted. */
const NOT_HELD: Answer = {
  status: "later",
  reply: "451 4.3.0 Not posted: the claim was uncertain",
};

/** Makes one attempt by HTTP. */
export async function deliverByHttp(
  delivery: ClaimedDelivery,
  relay: HttpRelay,
  delivering: Delivering,
  isHeld: () => boolean = () => true,
): Promise<Attempt> {
  const { now, queue } = delivering;
  const { host, protocol } = new URL(relay.url);
  const { requireTls } = delivery.parameters as MailParameters;
  if (requireTls && protocol !== "https:") {
    const verdicts = verdictForAll(delivery, "never", `550 5.7.30 REQUIRETLS: ${host} has no TLS`);
    return { verdicts, facts: { host, relay: delivery.destination.relay, seconds: 0 } };
  }
  const began = now().getTime();
  const most = relay.limits?.recipientsPerMessage ?? RECIPIENTS_PER_REQUEST;
  const answers: Answer[] = [];
  const verdicts: Verdict[] = [];
  let failure: { readonly error: unknown } | undefined;
  try {
    for (const copy of copiesOf(delivery)) {
      const content = await editedContent(delivery, copy.edits, queue);
      for (let at = 0; at < copy.recipients.length; at += most) {
        const recipients = copy.recipients.slice(at, at + most);
        const failed = answers.find(({ isDestinationFailure }) => isDestinationFailure);
        const answer = failed ?? await post(
          relay,
          requestOf(delivery, copy, recipients),
          content,
          delivering,
          isHeld,
        );
        answers.push(answer);
        const { status, reply } = answer;
        const owed = status === "delivered" ? { owed: status } : {};
        verdicts.push(...recipients.map(({ ordinal }) => ({ ordinal, status, reply, ...owed })));
      }
    }
  } catch (error) {
    // What was delivered stays so.
    failure = { error };
  }
  const failed = answers.find(({ isDestinationFailure }) => isDestinationFailure);
  const notBefore = answers.findLast((answer) => answer.notBefore !== undefined)?.notBefore;
  return {
    verdicts,
    facts: {
      host,
      relay: delivery.destination.relay,
      seconds: (now().getTime() - began) / 1000,
    },
    ...(notBefore === undefined ? {} : { notBefore }),
    ...(failed === undefined ? {} : { destinationFailure: failed.reply }),
    ...failure,
  };
}

/** The header fields that are signed. */
interface Request {
  readonly message: string;
  readonly key: string;
  readonly reversePath: string;
  readonly forwardPath: string;
}

function requestOf(
  { messageId, destination }: ClaimedDelivery,
  { reversePath }: Copy,
  recipients: readonly ClaimedRecipient[],
): Request {
  const { relay, nextHop } = destination;
  const ordinals = recipients.map(({ ordinal }) => ordinal);
  const identity = JSON.stringify([messageId, relay, nextHop, ordinals]);
  return {
    message: messageId,
    key: createHash("sha256").update(identity).digest("hex"),
    reversePath: encoded(reversePath),
    forwardPath: recipients.map((recipient) => encoded(routedPath(recipient))).join(","),
  };
}

function encoded(address: string): string {
  return encodeURIComponent(address).replace(/%(40|2B|3D)/g, (code) => decodeURIComponent(code))
    .replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);
}

async function post(
  relay: HttpRelay,
  request: Request,
  content: Content,
  { now, openSecret }: Delivering,
  isHeld: () => boolean,
): Promise<Answer> {
  const seconds = relay.timeout + Math.ceil(content.size / BYTES_PER_SECOND);
  let contentFault: { readonly error: unknown } | undefined;
  async function* pieces() {
    try {
      yield* whileHeld(content.open(), isHeld);
    } catch (error) {
      contentFault = { error };
      throw error;
    }
  }
  try {
    const secret = relay.secret === undefined ? undefined : await openSecret(relay.secret);
    const signature = secret === undefined ? {} : {
      "Postern-Signature": await signatureOf(request, pieces(), secret, now()),
    };
    if (!isHeld()) return NOT_HELD;
    const response = await fetch(relay.url, {
      method: "POST",
      redirect: "manual",
      signal: AbortSignal.timeout(seconds * 1000),
      headers: {
        "Content-Type": "message/rfc822",
        "User-Agent": "Postern",
        "Idempotency-Key": request.key,
        "Postern-Message": request.message,
        "Postern-Reverse-Path": request.reversePath,
        "Postern-Forward-Path": request.forwardPath,
        ...signature,
      },
      body: content.whole === undefined
        ? ReadableStream.from(pieces() as AsyncIterable<Uint8Array<ArrayBuffer>>)
        : content.whole as Uint8Array<ArrayBuffer>,
    });
    return await answerOf(response, now());
  } catch (error) {
    // Nothing that the server said or did.
    if (contentFault?.error instanceof ClaimUncertain) return NOT_HELD;
    if (contentFault !== undefined) throw contentFault.error;
    const { name, message, cause } = error as Error;
    const detail = cause instanceof Error ? cause.message : message;
    const why = name === "TimeoutError" ? `no answer within ${seconds} s` : detail;
    const reply = `451 4.4.1 ${new URL(relay.url).host}: ${why}`;
    return { status: "later", reply, isDestinationFailure: true };
  }
}

async function signatureOf(
  { key, reversePath, forwardPath }: Request,
  pieces: AsyncIterable<Uint8Array>,
  secret: string,
  now: Date,
): Promise<string> {
  const time = Math.floor(now.getTime() / 1000);
  const hmac = createHmac("sha256", secret);
  hmac.update(`${time}.${key}.${reversePath}.${forwardPath}.`);
  for await (const piece of pieces) hmac.update(piece);
  return `t=${time},v1=${hmac.digest("hex")}`;
}

async function answerOf(response: Response, now: Date): Promise<Answer> {
  const { status: code, statusText } = response;
  const said = `HTTP ${code} ${statusText}: ${await beginningOf(response)}`.replace(/[: ]+$/, "");
  if (code >= 200 && code < 300) return { status: "delivered", reply: `250 2.0.0 ${said}` };
  if (code >= 400 && code < 500 && !PASSING.includes(code)) {
    return { status: "never", reply: `550 5.0.0 ${said}` };
  }
  const notBefore = retryAfter(response.headers.get("retry-after"), now);
  return {
    status: "later",
    reply: `451 4.0.0 ${said}`,
    ...(notBefore === undefined ? {} : { notBefore }),
    isDestinationFailure: ABOUT_THE_SERVER.includes(code),
  };
}

/** The beginning of the body on one line; the rest is not waited for. */
async function beginningOf(response: Response): Promise<string> {
  let text = "";
  try {
    for await (const piece of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      text += piece;
      if (text.length >= SHOWN_CHARACTERS) break;
    }
  } catch {
    // The status is the answer, whatever becomes of the text.
  }
  return text.slice(0, SHOWN_CHARACTERS).replace(/[\p{Cc}\s]+/gu, " ").trim();
}

/** RFC 9110 §10.2.3: seconds, or a date. */
function retryAfter(value: string | null, now: Date): Date | undefined {
  if (value === null) return undefined;
  if (/^\d{1,9}$/.test(value.trim())) return new Date(now.getTime() + Number(value) * 1000);
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
