/**
 * DATA and BDAT: the content of a transaction, from the command to the final reply (RFC 5321 §4.1.1.4,
 * RFC 3030).
 *
 * This file must not know how content is framed.
 */
import type { Command } from "../command.ts";
import { type Reply, reply } from "../reply.ts";
import type { ContentAction } from "./actions.ts";
import { ContentIntake } from "./content-intake.ts";
import type { ServerCore } from "./core.ts";
import { replies } from "./replies.ts";

/** Drained content beyond this many bytes ends the session, where the message size has no limit. */
const leastDrain = 1_048_576;

/** DATA. */
export function data(core: ServerCore): void {
  const transaction = core.transaction!;
  if (transaction.parameters.body === "BINARYMIME") return core.reply(replies.binaryNeedsBdat);
  const envelope = transaction.envelope();
  core.ask({ type: "data", verb: "DATA", envelope }, (answer) => {
    if (answer !== undefined && answer.code >= 400) return core.reply(answer);
    core.content = new ContentIntake("dots", core.options.lineEnds, core.options.limits);
    core.state = "content";
    core.reply(replies.sendData);
  });
}

/** BDAT in a state that takes it. */
export function chunk(core: ServerCore, command: Extract<Command, { verb: "BDAT" }>): void {
  if (!core.offer.chunking) {
    return drainChunk(core, command.size, () => core.reply(replies.notOffered));
  }
  if (core.content !== undefined) return readChunk(core, command.size, command.last);
  const transaction = core.transaction!;
  core.ask({ type: "data", verb: "BDAT", envelope: transaction.envelope() }, (answer) => {
    if (answer?.code === 421) return core.reply(answer);
    if (answer !== undefined && answer.code >= 400) {
      return drainChunk(core, command.size, () => {
        if (!command.last) fail(core);
        core.reply(answer);
      });
    }
    const framing = transaction.parameters.body === "BINARYMIME" ? "binary" : "text";
    core.content = new ContentIntake(framing, core.options.lineEnds, core.options.limits);
    readChunk(core, command.size, command.last);
  });
}

/** Reads over a chunk that nobody takes, then goes on. */
export function drainChunk(core: ServerCore, size: number, then: () => void): void {
  if (size === 0) return then();
  if (size > Math.max(leastDrain, core.options.limits.messageSize * 2)) {
    core.reply(replies.tooBig);
    return core.end();
  }
  core.drainLeft = size;
  core.afterChunk = then;
}

/** A BDAT in a state that does not take it: its chunk is read over before the reply. */
export function refuseChunk(core: ServerCore, size: number, last: boolean, refusal: Reply): void {
  drainChunk(core, size, () => {
    if (last && core.state === "failed") core.state = "ready";
    core.reply(refusal);
  });
}

function readChunk(core: ServerCore, size: number, last: boolean): void {
  const content = core.content!;
  if (content.size + size > core.options.limits.messageSize) {
    core.discard("content");
    core.content = undefined;
    return drainChunk(core, size, () => {
      if (last) return finalReplies(core, [replies.tooBig]);
      fail(core);
      core.reply(replies.tooBig);
    });
  }
  content.remaining = size;
  core.state = "content";
  core.afterChunk = () => {
    if (last) return endOfContent(core);
    if (content.fault !== undefined) {
      fail(core);
      return core.reply(content.fault);
    }
    core.state = "chunking";
    core.reply(reply(250, "2.0.0", `${size} octets received`));
  };
}

/** The transaction came to nothing before its last chunk. */
function fail(core: ServerCore): void {
  core.reset("content");
  core.state = "failed";
}

/** Reads on in the content. Returns a piece of it, or whether anything was done at all. */
export function readContent(core: ServerCore): ContentAction | boolean {
  const { input } = core;
  const content = core.content!;
  const had = input.advance();
  const bytes = content.read(input.chunk, input.position);
  input.position = content.position;
  if (content.fault !== undefined) {
    core.discard("content");
    if (content.drained > Math.max(leastDrain, core.options.limits.messageSize)) {
      core.reply(content.fault);
      core.end();
      return true;
    }
  }
  if (bytes !== undefined) return { type: "content", bytes };
  if (content.ended) {
    endOfContent(core);
    return true;
  }
  if (content.framing !== "dots" && content.remaining === 0) {
    endOfChunk(core);
    return true;
  }
  return had;
}

/** Goes on after a chunk that was read or drained. */
export function endOfChunk(core: ServerCore): void {
  const then = core.afterChunk!;
  core.afterChunk = undefined;
  then();
}

function endOfContent(core: ServerCore): void {
  const content = core.content!;
  const bytes = content.finish();
  if (content.fault !== undefined) {
    core.discard("content");
    return finalReplies(core, [content.fault]);
  }
  if (bytes !== undefined) core.actions.push({ type: "content", bytes });
  core.ask({
    type: "message",
    envelope: core.transaction!.envelope(),
    size: content.size,
    eightBit: content.eightBit,
    receivedFields: content.header.received,
  }, (answer) => finalReplies(core, [answer ?? replies.accepted]));
}

/**
 * The replies to the content, after which the transaction is over: one, or in LMTP one for each
 * accepted recipient (RFC 2033 §4.2), for which a single one stands.
 */
export function finalReplies(core: ServerCore, given: readonly Reply[]): void {
  const wanted = core.options.flavour === "lmtp" ? core.transaction!.recipients : 1;
  core.forgetTransaction();
  core.state = "ready";
  const last = given.at(-1) ?? replies.accepted;
  for (let index = 0; index < wanted; index++) core.reply(given[index] ?? last);
}
