/**
 * Mutated dialogues with the server session: transcripts are cut, spliced and damaged, sent in random
 * chunks, and answered at random, now or later. Whatever comes, the session must not throw, must end
 * its replies properly, say nothing after `close`, and hand out no more than it was given.
 */
import { readdirSync, readFileSync } from "node:fs";
import {
  reply,
  type ServerQuestion,
  ServerSession,
  type ServerSessionOptions,
} from "../src/index.ts";
import { parseTranscript } from "../tests/server-dialogue.ts";

/** What the dialogues start from. */
export interface Seeds {
  readonly options: readonly Partial<ServerSessionOptions>[];
  readonly writes: readonly Uint8Array[];
  /** Whole dialogues: indexes into `writes`. */
  readonly dialogues: readonly (readonly number[])[];
}

/** Reads the golden transcripts as seeds. */
export function readSeeds(): Seeds {
  const folder = new URL("../transcripts/server/", import.meta.url);
  const options: Partial<ServerSessionOptions>[] = [];
  const writes: Uint8Array[] = [];
  const dialogues: number[][] = [];
  for (const name of readdirSync(folder).sort()) {
    const transcript = parseTranscript(readFileSync(new URL(name, folder), "utf8"));
    const dialogue: number[] = [];
    for (const { input } of transcript.blocks) {
      // The very long ones would be all that the run does.
      if (!("bytes" in input) || input.bytes.length === 0 || input.bytes.length > 5000) continue;
      dialogue.push(writes.length);
      writes.push(input.bytes);
    }
    options.push(transcript.options);
    dialogues.push(dialogue);
  }
  return { options, writes, dialogues };
}

/** A small generator of random numbers (mulberry32), so that a run can be repeated. */
export function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const spice = [0, 9, 10, 13, 32, 34, 42, 43, 44, 46, 58, 60, 61, 62, 64, 91, 92, 93, 127, 128, 255];

function mutate(bytes: Uint8Array, random: (below: number) => number): Uint8Array {
  const out = Array.from(bytes);
  for (let times = random(4); times > 0; times--) {
    const at = random(out.length + 1);
    const length = random(8) + 1;
    switch (random(5)) {
      case 0:
        out.splice(at, 1, spice[random(spice.length)]!);
        break;
      case 1:
        out.splice(at, 0, spice[random(spice.length)]!);
        break;
      case 2:
        out.splice(at, length);
        break;
      case 3:
        out.splice(at, 0, ...out.slice(random(out.length + 1)).slice(0, length * 4));
        break;
      case 4:
        out.splice(at, 0, ...Array.from({ length }, () => random(256)));
    }
  }
  return Uint8Array.from(out);
}

/** Plays one mutated dialogue; throws where the session does something it must not. */
export function playMutated(seeds: Seeds, seed: number): void {
  const random = randomOf(seed);
  const chosen = random(seeds.dialogues.length);
  const options = seeds.options[random(4) > 0 ? chosen : random(seeds.options.length)]!;
  const session = new ServerSession({ hostname: "mx.example", ...options });
  const dialogue = [...seeds.dialogues[chosen]!];
  for (let times = random(3); times > 0; times--) {
    dialogue.splice(random(dialogue.length + 1), random(2), random(seeds.writes.length));
  }
  const state = { received: 0, content: 0, closed: false, text: "" };
  session.start();
  perform(session, random, state);
  for (const index of dialogue) {
    const write = seeds.writes[index]!;
    let bytes = random(3) > 0 ? write : mutate(write, random);
    while (bytes.length > 0) {
      const size = random(3) === 0 ? random(bytes.length) + 1 : bytes.length;
      session.receive(bytes.slice(0, size));
      state.received += size;
      bytes = bytes.subarray(size);
      perform(session, random, state);
    }
    if (session.question !== undefined && random(3) > 0) {
      decide(session, session.question, random);
      perform(session, random, state);
    }
    switch (random(200)) {
      case 0:
        session.timedOut();
        break;
      case 1:
        session.shutDown();
        break;
      case 2:
        session.inputEnded();
        break;
      case 3:
        session.configure(seeds.options[random(seeds.options.length)]!);
    }
    perform(session, random, state);
  }
  session.inputEnded();
  perform(session, random, state);
  if (session.question !== undefined) {
    session.timedOut();
    perform(session, random, state);
  }
  if (!state.closed) throw new Error("the session does not end when its input does");
}

interface Play {
  received: number;
  content: number;
  closed: boolean;
  text: string;
}

function perform(session: ServerSession, random: (below: number) => number, state: Play): void {
  let turns = 0;
  for (let action = session.next(); action !== undefined; action = session.next()) {
    if (state.closed) throw new Error(`${action.type} after close`);
    if (++turns > 100_000) throw new Error("no end of actions");
    switch (action.type) {
      case "send": {
        const text = String.fromCharCode(...action.bytes);
        if (!/^(?:[2-5]\d\d[ -][ -~]{0,508}\r\n)+$/.test(text)) {
          throw new Error(`not replies: ${JSON.stringify(text)}`);
        }
        break;
      }
      case "content":
        if (action.bytes.length === 0) throw new Error("empty content");
        state.content += action.bytes.length;
        // Normalising may make two bytes of one.
        if (state.content > state.received * 2) throw new Error("more content than input");
        break;
      case "close":
        state.closed = true;
        break;
      case "startTls":
        if (random(4) > 0) session.tlsStarted();
        break;
      default:
        if (action === session.question && random(10) > 0) {
          decide(session, session.question, random);
        }
    }
  }
}

const refusals = [
  reply(450, "4.2.0", "Later"),
  reply(550, "5.7.1", "No"),
  reply(550, "5.7.1", "line\r\n250 injected", "ümlaut"),
  reply(421, "4.3.2", "Going"),
];

function decide(
  session: ServerSession,
  question: ServerQuestion,
  random: (below: number) => number,
): void {
  const bytes = Uint8Array.from({ length: 32 }, () => random(256));
  const whim = random(20);
  if (whim > 17) session.refuse(refusals[random(random(8) === 0 ? 4 : 3)]!);
  else if (question.type === "scram" && whim > 1) {
    session.answerScram({
      nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
      salt: bytes,
      iterations: 4096,
      storedKey: bytes,
      serverKey: bytes,
    });
  } else if (question.type === "digest" && whim > 1) session.answerDigest(bytes);
  else if (question.type === "message" && whim > 4) session.answerEach([reply(250, "2.0.0", "Ok")]);
  else session.accept();
}
