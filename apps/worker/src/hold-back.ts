/**
 * When delivery leaves the processors to those who take mail. A client that hands mail in waits for
 * each reply; what is in the queue can wait a little. So while much is being accepted and this
 * machine is short of processor time, only what has waited for a while is delivered. What has gathered
 * then goes in larger batches, which cost less. Must not know what a claim is.
 */
import { ANNOUNCEMENT_PAUSE } from "@postern/store";
import { cpus } from "node:os";

/** How long processors are watched before what they did says something, in milliseconds. */
const WATCH = 200;

/** So many messages accepted in that time are much. */
const MUCH = 20;

/**
 * After so many milliseconds without a word nothing more is being accepted: under load an ingress tells
 * of its mail after every pause, late where processors are short.
 */
const SILENCE = 4 * ANNOUNCEMENT_PAUSE;

/** With a smaller share of idle time processors are short; with more than the other there is room. */
const SHORT = 0.2;
const ROOM = 0.35;

/** What the processors of a machine had so far, in milliseconds: idle time, and time in all. */
export interface ProcessorTime {
  readonly idle: number;
  readonly all: number;
}

/** What {@link HoldBack} goes by. */
export interface HoldBackOptions {
  /** A clock in milliseconds. */
  readonly now: () => number;
  /** Undefined where it cannot be known: then delivery never holds back. */
  readonly processorTime: () => ProcessorTime | undefined;
}

/** Says whether delivery should hold back. */
export class HoldBack {
  readonly #options: HoldBackOptions;
  #accepted = 0;
  #acceptedAt = -Infinity;
  #watched: ProcessorTime | undefined;
  #watchedAt = -Infinity;
  #short = false;

  constructor(options: HoldBackOptions) {
    this.#options = options;
  }

  /** So many messages were accepted somewhere. */
  readonly accepted = (messages: number): void => {
    this.#accepted += messages;
    this.#acceptedAt = this.#options.now();
  };

  /** Whether it should now. */
  get wanted(): boolean {
    const at = this.#options.now();
    if (at - this.#acceptedAt >= SILENCE) this.#short = false;
    else if (at - this.#watchedAt >= WATCH) this.#watch(at);
    return this.#short;
  }

  #watch(at: number): void {
    const before = this.#watched;
    // Over a longer time it would say little of the present.
    const isRecent = at - this.#watchedAt <= 2 * WATCH;
    const isMuch = this.#accepted >= MUCH;
    const after = this.#options.processorTime();
    this.#watched = after;
    this.#watchedAt = at;
    this.#accepted = 0;
    if (before === undefined || after === undefined || !isRecent) return;
    const idle = (after.idle - before.idle) / Math.max(1, after.all - before.all);
    if (!isMuch || idle > ROOM) this.#short = false;
    else if (idle < SHORT) this.#short = true;
  }
}

/** The time of this machine's processors; undefined where this process may not know. */
export function processorTime(): ProcessorTime | undefined {
  try {
    const all = cpus();
    return {
      idle: all.reduce((sum, { times }) => sum + times.idle, 0),
      // By the clock: what a host took from its virtual machine is in none of the other times.
      all: all.length * performance.now(),
    };
  } catch {
    return undefined;
  }
}
