/**
 * One transaction of a client session, from MAIL to the last reply that decides about a recipient:
 * MAIL, RCPT and DATA one by one or in batches (RFC 5321 §3.3, RFC 2920), the content dot-stuffed or
 * in BDAT chunks (RFC 3030), and in LMTP a reply per recipient (RFC 2033 §4.2).
 *
 * This file must not know greetings, TLS, AUTH or how sessions end.
 */
import { createDotStuffer, type DotStuffer } from "../framing/dot-stuffer.ts";
import { isPermanent, isPositive, type Reply } from "../reply.ts";
import type { Transaction } from "./actions.ts";
import { ChunkWriter } from "./chunk-writer.ts";
import type { Awaited, Conversation } from "./conversation.ts";
import type { ClientSessionOptions } from "./options.ts";
import {
  type AnsweredCommand,
  outcomeOfFailure,
  type RecipientOutcome,
  recipientOutcome,
  type RecipientStatus,
  type SessionFailure,
} from "./outcome.ts";
import { type Plan, planTransaction } from "./plan.ts";

const loneDot = ".\r\n";

export class Delivery {
  readonly #transaction: Transaction;
  readonly #conversation: Conversation;
  readonly #plan: Plan;
  readonly #outcomes: (RecipientOutcome | undefined)[];
  readonly #lmtp: boolean;
  /** Commands that may be under way at once: 1 without PIPELINING. */
  readonly #depth: number;
  /** How many of `plan.offered` were said in RCPT. */
  #said = 0;
  #mailSaid = false;
  /** Set when MAIL was refused: what RCPT and DATA are answered means nothing then. */
  #refused = false;
  /** Set when the next hop said that it takes no more recipients: the rest is not offered. */
  #full: Reply | undefined;
  /** The indices of the recipients that RCPT accepted. */
  readonly #accepted: number[] = [];
  #stuffer: DotStuffer | undefined;
  #chunks: ChunkWriter | undefined;
  readonly #views: Uint8Array[] = [];

  constructor(
    transaction: Transaction,
    options: ClientSessionOptions,
    conversation: Conversation,
  ) {
    const { capabilities, tls, authenticated } = conversation;
    const { pipelining = true, pipelineDepth = 100, preferChunking = false } = options;
    this.#transaction = transaction;
    this.#conversation = conversation;
    this.#lmtp = options.flavour === "lmtp";
    this.#depth = pipelining && capabilities.pipelining ? Math.max(2, pipelineDepth) : 1;
    this.#plan = planTransaction(transaction, {
      capabilities,
      tls,
      authenticated,
      preferChunking,
    });
    this.#outcomes = [...this.#plan.decided];
    if (this.#plan.transfer === "BDAT") {
      this.#chunks = new ChunkWriter(conversation, options.chunkSize ?? 65_536, this.#depth);
    }
    conversation.endHandedOut = false;
  }

  /** Whether MAIL was said, so that the next hop may have to be told RSET. */
  get begun(): boolean {
    return this.#mailSaid;
  }

  /** Whether the next hop took the message for any recipient. */
  get delivered(): boolean {
    return this.#outcomes.some((outcome) => outcome?.status === "accepted");
  }

  /** The outcomes; all are there once `advance()` returned true, or after `fail()`. */
  get outcomes(): readonly RecipientOutcome[] {
    return this.#outcomes as readonly RecipientOutcome[];
  }

  /** Says what can be said now. Returns true when nothing is left to say or to wait for. */
  advance(): boolean {
    if (this.#conversation.outstanding > 0 || this.#conversation.resting === "content") {
      return false;
    }
    if (this.#refused || (this.#mailSaid && this.#allSaid && this.#accepted.length === 0)) {
      return true;
    }
    if (!this.#mailSaid && this.#plan.offered.length === 0) return true;
    if (!this.#allSaid || !this.#mailSaid) {
      this.#sayBatch();
      return false;
    }
    if (this.#outcomes[this.#accepted[0]!] !== undefined) return true;
    if (this.#plan.transfer === "BDAT") this.#wantContent();
    else this.#sayData();
    return false;
  }

  mailRefused(reply: Reply): void {
    this.#refused = true;
    for (const index of this.#plan.offered) this.#decide(index, reply, "MAIL");
  }

  recipientAccepted({ recipient }: Awaited): void {
    if (!this.#refused) this.#accepted.push(recipient);
  }

  recipientRefused(reply: Reply, { recipient }: Awaited): void {
    if (this.#refused) return;
    if (this.#accepted.length === 0 || !saysTooMany(reply)) {
      return this.#decide(recipient, reply, "RCPT");
    }
    this.#settle(recipient, "tooMany", reply, "RCPT");
    if (this.#full !== undefined) return;
    this.#full = reply;
    for (const index of this.#plan.offered.slice(this.#said)) {
      this.#settle(index, "tooMany", reply, "RCPT");
    }
    this.#said = this.#plan.offered.length;
  }

  /** 354. If nobody wants the content, RFC 2920 §3.1 has the data end at once. */
  contentInvited(): void {
    if (this.#accepted.length > 0) return this.#wantContent();
    this.#conversation.say(loneDot);
    this.#conversation.expect("loneDot");
  }

  dataRefused(reply: Reply): void {
    this.#decideAll(reply, "DATA");
  }

  /** Takes content; returns whether more is wanted now. */
  content(chunk: Uint8Array): boolean {
    if (this.#chunks !== undefined) return this.#chunks.write(chunk);
    this.#stuffer!.write(chunk, this.#views);
    for (const view of this.#views) this.#conversation.send(view);
    this.#views.length = 0;
    return true;
  }

  /** Whether content that was taken has not been given out to be sent. */
  get holdsContent(): boolean {
    return this.#chunks?.holding ?? false;
  }

  endOfContent(): void {
    this.#conversation.resting = "ready";
    if (this.#chunks !== undefined) return this.#chunks.end(() => this.#expectVerdict());
    this.#conversation.sendAll([this.#stuffer!.end()]);
    this.#expectVerdict();
  }

  chunkTaken(): void {
    this.#chunks!.taken();
  }

  /** RFC 3030 §2: a failed chunk fails the transaction; those under way fail, too. */
  chunkRefused(reply: Reply): void {
    this.#decideAll(reply, "BDAT");
    this.#chunks!.stop();
    this.#conversation.resting = "ready";
  }

  /** 4yz or 5yz in the midst of DATA's content: the next hop gave up and will close. */
  contentRefused(reply: Reply): void {
    this.#decideAll(reply, "content");
  }

  verdict(reply: Reply, { recipient }: Awaited): void {
    if (recipient === -1) this.#decideAll(reply, "endOfContent");
    else this.#decide(recipient, reply, "endOfContent");
  }

  /** The session broke: what is undecided is decided by that. */
  fail(failure: SessionFailure): void {
    const doubtful = this.#conversation.endHandedOut && leavesDoubt(failure);
    for (const [index, recipient] of this.#transaction.envelope.recipients.entries()) {
      if (this.#outcomes[index] !== undefined) continue;
      this.#outcomes[index] = doubtful
        ? recipientOutcome(recipient, "inDoubt", "endOfContent", { kind: "failure", failure })
        : outcomeOfFailure(recipient, failure);
    }
  }

  get #allSaid(): boolean {
    return this.#said === this.#plan.offered.length;
  }

  /** MAIL if it was not said yet, RCPTs, and DATA after the last of them, within the depth. */
  #sayBatch(): void {
    const { mail, offered, rcpt, transfer } = this.#plan;
    const saysMail = !this.#mailSaid;
    const from = this.#said;
    const room = this.#depth - (saysMail ? 1 : 0);
    this.#mailSaid = true;
    this.#said = Math.min(from + room, offered.length);
    const said = rcpt.slice(from, this.#said);
    const saysData = said.length < room && this.#depth > 1 && transfer === "DATA";
    this.#conversation.say([saysMail ? mail : "", ...said, saysData ? "DATA\r\n" : ""].join(""));
    if (saysMail) this.#conversation.expect("mail");
    for (const index of offered.slice(from, this.#said)) this.#conversation.expect("rcpt", index);
    if (saysData) this.#conversation.expect("data");
  }

  #sayData(): void {
    this.#conversation.say("DATA\r\n");
    this.#conversation.expect("data");
  }

  #wantContent(): void {
    if (this.#chunks === undefined) this.#stuffer = createDotStuffer();
    this.#conversation.resting = "content";
    this.#conversation.emit({ type: "needContent", form: this.#plan.form, first: true });
  }

  #expectVerdict(): void {
    if (!this.#lmtp) return this.#conversation.expect("endOfContent");
    for (const index of this.#accepted) this.#conversation.expect("endOfContent", index);
  }

  #decideAll(reply: Reply, command: AnsweredCommand): void {
    for (const index of this.#accepted) this.#decide(index, reply, command);
  }

  #decide(index: number, reply: Reply, command: AnsweredCommand): void {
    const status = isPositive(reply) ? "accepted" : isPermanent(reply) ? "permanent" : "transient";
    this.#settle(index, status, reply, command);
  }

  #settle(index: number, status: RecipientStatus, reply: Reply, command: AnsweredCommand): void {
    if (this.#outcomes[index] !== undefined) return;
    const recipient = this.#transaction.envelope.recipients[index]!;
    const settled = recipientOutcome(recipient, status, command, { kind: "reply", reply });
    this.#outcomes[index] = status === "accepted" && this.#plan.takesOver(index)
      ? { ...settled, dsnTakenOver: true }
      : settled;
  }
}

/**
 * Whether RCPT's reply is about the number of recipients, given that another one was accepted: 452
 * or 552 (RFC 5321 §4.5.3.1.10), unless an enhanced code says that it is about this mailbox.
 */
function saysTooMany({ code, enhanced }: Reply): boolean {
  if (enhanced !== undefined) return enhanced.slice(1) === ".5.3";
  return code === 452 || code === 552;
}

/** A refusal, as 421, is an answer; anything else leaves open what became of the message. */
function leavesDoubt(failure: SessionFailure): boolean {
  return failure.kind !== "refused";
}
