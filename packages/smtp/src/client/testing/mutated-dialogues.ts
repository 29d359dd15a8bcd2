/**
 * A fuzz run of the client: what the servers of the golden transcripts say, mutated and cut at random,
 * against sessions made at random. Nothing may throw, and each transaction must have one outcome.
 *
 * The long run is `fuzz/fuzz.ts`. The same seed gives the same dialogue.
 *
 * This file must not know files.
 */
import { ClientSession } from "../../client-session.ts";
import type { Transaction } from "../actions.ts";
import type { ClientSessionOptions } from "../options.ts";

const encoder = new TextEncoder();

/** Random numbers from a seed, the same everywhere (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = state + 0x6d2b79f5 >>> 0;
    let mixed = Math.imul(state ^ state >>> 15, state | 1);
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61);
    return ((mixed ^ mixed >>> 14) >>> 0) % below;
  };
}

/** What the server says in a transcript. */
export function serverSide(transcript: string): Uint8Array {
  const lines = transcript.split("\n").filter((line) => line.startsWith("S: "));
  return encoder.encode(lines.map((line) => `${line.slice(3)}\r\n`).join(""));
}

function mutated(sides: readonly Uint8Array[], random: (below: number) => number): Uint8Array {
  let bytes = [...sides[random(sides.length)]!];
  for (let left = random(5); left > 0; left--) {
    const from = random(bytes.length + 1);
    const length = random(20);
    switch (random(6)) {
      case 0:
        bytes[from] = random(256);
        break;
      case 1:
        bytes.splice(from, length);
        break;
      case 2:
        bytes.splice(from, 0, ...bytes.slice(from, from + length));
        break;
      case 3: {
        const other = sides[random(sides.length)]!;
        const at = random(other.length + 1);
        bytes.splice(from, 0, ...other.subarray(at, at + 40));
        break;
      }
      case 4:
        bytes = bytes.slice(0, from);
        break;
      case 5:
        bytes.splice(
          from,
          0,
          ...encoder.encode(["421 x\r\n", "354 x\r\n", "250 x\r\n"][random(3)]),
        );
        break;
    }
  }
  return Uint8Array.from(bytes, (byte) => byte ?? 0);
}

function optionsFrom(random: (below: number) => number): ClientSessionOptions {
  const nonce = "rOprNGfwEbeRWgbNEkqO";
  return {
    ehloName: "client.example",
    flavour: random(4) === 0 ? "lmtp" : "smtp",
    tls: (["none", "may", "require"] as const)[random(3)]!,
    pipelining: random(3) > 0,
    pipelineDepth: 2 + random(4),
    preferChunking: random(2) === 0,
    chunkSize: 1 + random(30),
    ...(random(3) > 0 ? {} : { tlsActive: { verified: true } }),
    ...(random(3) > 0
      ? {}
      : { credentials: { kind: "password", user: "u", password: "p", nonce } }),
  };
}

function transactionFrom(random: (below: number) => number): Transaction {
  const recipients = Array.from({ length: random(6) }, (_, at) => ({
    forwardPath: `${at}@d.example`,
    parameters: {},
  }));
  return {
    envelope: { reversePath: "a@b.example", parameters: {}, recipients },
    contentSize: random(2000),
    contentForm: (["7bit", "8bit", "binary"] as const)[random(3)]!,
    canConvert: random(2) === 0,
  };
}

/** Plays one dialogue with an adapter that does what it is asked to; throws where a rule is broken. */
export function playMutated(sides: readonly Uint8Array[], seed: number): void {
  const random = randomFrom(seed);
  const session = new ClientSession(optionsFrom(random));
  const content = encoder.encode("Subject: x\r\n\r\n.\r\ntext\r\n");
  let delivered = 0;
  let outcomes = 0;
  let closes = 0;
  const deliver = () => {
    delivered++;
    session.deliver(transactionFrom(random));
  };
  const perform = () => {
    for (let action = session.next(); action !== undefined; action = session.next()) {
      if (action.type === "ready" && delivered < 5) deliver();
      else if (action.type === "ready") session.quit();
      else if (action.type === "startTls" && random(4) > 0) session.tlsStarted({ verified: true });
      else if (action.type === "startTls") session.tlsFailed("no");
      else if (action.type === "outcome") outcomes++;
      else if (action.type === "close") closes++;
      else if (action.type === "scramProof") {
        session.answerScram({ clientProof: content, serverSignature: content });
      } else if (action.type === "needContent") {
        while (random(4) > 0 && session.content(content));
        if (random(10) > 0) session.endOfContent();
        else if (random(2) > 0) session.abortContent();
      }
    }
  };
  if (random(2) > 0) deliver();
  const bytes = mutated(sides, random);
  for (let at = 0; at < bytes.length;) {
    const length = 1 + random(60);
    session.receive(bytes.subarray(at, at + length));
    at += length;
    perform();
  }
  if (random(2) > 0) session.timedOut();
  session.disconnected();
  perform();
  if (!session.ended || closes !== 1 || outcomes !== delivered) {
    throw new Error(`${delivered} transactions, ${outcomes} outcomes, ${closes} closes`);
  }
}
