/**
 * The two queues of a client session: actions that the adapter has not taken yet, and commands whose
 * replies are awaited, in order. Together with the resting state they are the session's state.
 *
 * This file must not know what any command means.
 */
import type { ClientAction } from "./actions.ts";
import { type Capabilities, withoutExtensions } from "./capabilities.ts";
import type { ClientTlsInformation } from "./options.ts";
import type { SessionFailure } from "./outcome.ts";
import type { AwaitingState, ClientState, RestingState } from "./states.ts";

/** One reply that is awaited. */
export interface Awaited {
  readonly state: AwaitingState;
  /** The recipient's index in the envelope, for RCPT and for LMTP's final replies; else −1. */
  readonly recipient: number;
  /** How many actions are handed out when its command is. */
  readonly saidBy: number;
}

const encoder = new TextEncoder();

export class Conversation {
  /** The state while no reply is awaited. */
  resting: RestingState = "ready";
  capabilities: Capabilities = withoutExtensions();
  tls: ClientTlsInformation | undefined;
  authenticated = false;
  /** The end of the content was returned by `next()`: from then on a break leaves doubt. */
  endHandedOut = false;

  #actions: ClientAction[] = [];
  #taken = 0;
  /** Actions ever queued, and ever handed out. */
  #queued = 0;
  #handedOut = 0;
  #awaited: Awaited[] = [];
  #answered = 0;
  /** The action that holds the end of the content while it waits in the queue. */
  #end: ClientAction | undefined;
  #close: ClientAction | undefined;

  get state(): ClientState {
    return this.#awaited[this.#answered]?.state ?? this.resting;
  }

  /** How many replies are awaited. */
  get outstanding(): number {
    return this.#awaited.length - this.#answered;
  }

  /** Whether the peer cannot have read yet what it would answer now. */
  get awaitsUnsaid(): boolean {
    const awaited = this.#awaited[this.#answered];
    return awaited !== undefined && awaited.saidBy > this.#handedOut;
  }

  /** Queues command lines, each with its CRLF. */
  say(lines: string): void {
    this.send(encoder.encode(lines));
  }

  /** Queues bytes of content. */
  send(bytes: Uint8Array): void {
    this.emit({ type: "send", bytes });
  }

  /** Queues the bytes that complete the content; the last piece is what makes it complete. */
  sendAll(pieces: readonly Uint8Array[]): void {
    for (const bytes of pieces) this.send(bytes);
    this.#end = this.#actions.at(-1);
  }

  emit(action: ClientAction): void {
    this.#actions.push(action);
    this.#queued++;
  }

  /** Expects one more reply, to what was queued last. */
  expect(state: AwaitingState, recipient = -1): void {
    this.#awaited.push({ state, recipient, saidBy: this.#queued });
  }

  /** A reply came: what it answers, or `undefined` if none is awaited. */
  answered(): Awaited | undefined {
    const awaited = this.#awaited[this.#answered];
    if (awaited !== undefined && ++this.#answered === this.#awaited.length) {
      this.#awaited = [];
      this.#answered = 0;
    }
    return awaited;
  }

  /** Nothing will be read or written any more; only outcomes and the close remain to be taken. */
  end(failure: SessionFailure | undefined): void {
    const left = this.#actions.slice(this.#taken);
    this.#actions = left.filter((action) => action.type === "outcome");
    this.#taken = 0;
    this.#awaited = [];
    this.#answered = 0;
    this.resting = "ended";
    this.#close = failure === undefined ? { type: "close" } : { type: "close", failure };
  }

  next(): ClientAction | undefined {
    const action = this.#actions[this.#taken];
    if (action === undefined) {
      const close = this.#close;
      this.#close = undefined;
      return close;
    }
    this.#handedOut++;
    if (++this.#taken === this.#actions.length) {
      this.#actions = [];
      this.#taken = 0;
    }
    if (action === this.#end) {
      this.endHandedOut = true;
      this.#end = undefined;
    }
    return action;
  }
}
