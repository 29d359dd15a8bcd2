/**
 * The content of a copy as it goes out: the header edited, all of it converted to 7-bit where the
 * next hop takes no more. Small content is worked on in memory, large content as it streams from
 * the store, and then read twice where something must be known before it is sent.
 *
 * This file must not know sessions or replies.
 */
import {
  concat,
  ContentSurvey,
  encodeWords,
  formatField,
  HeaderReader,
  SevenBitConverter,
  type SevenBitFailure,
} from "@postern/message";
import type { ClaimedDelivery, HeaderEdit, Queue } from "@postern/store";

type Pieces = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Content that can be read any number of times. */
export interface Content {
  /** Its size in bytes. */
  readonly size: number;
  /** All of it, where it is small enough to be at hand. */
  readonly whole: Uint8Array | undefined;
  /** Whether each piece is read for who opens it, who may free its memory. */
  readonly passing: boolean;
  open(): Pieces;
}

/** The content of a delivery with the header edited. */
export async function editedContent(
  { content, messageId, size }: ClaimedDelivery,
  edits: readonly HeaderEdit[],
  queue: Pick<Queue, "readContent">,
): Promise<Content> {
  const original: Content = content === undefined
    ? {
      size,
      whole: undefined,
      passing: true,
      open: () => queue.readContent(messageId, size),
    }
    : inMemory(content);
  if (edits.length === 0) return original;
  const reader = await headerOf(original);
  const header = edit(reader, edits);
  const skipped = reader.header.octets.length;
  if (original.whole !== undefined) {
    return inMemory(concat([header, original.whole.subarray(skipped)]));
  }
  return {
    size: size - skipped + header.length,
    whole: undefined,
    passing: true,
    open: () => replaced(original, header, skipped),
  };
}

/** Reads content as far as its header goes. */
export async function headerOf(content: Content): Promise<HeaderReader> {
  const reader = new HeaderReader();
  for await (const piece of content.open()) if (reader.push(piece) !== "header") return reader;
  reader.end();
  return reader;
}

/**
 * The edited header. Edits count in their order: a removal takes what came with the message and
 * what was added before it. What is added goes on top, the first one first. From a header too
 * large to be read nothing is removed.
 */
function edit({ header, state }: HeaderReader, edits: readonly HeaderEdit[]): Uint8Array {
  const removed: string[] = [];
  let added: { readonly name: string; readonly field: Uint8Array }[] = [];
  for (const one of edits) {
    if ("remove" in one) {
      removed.push(one.remove);
      added = added.filter(({ name }) => name.toLowerCase() !== one.remove.toLowerCase());
    } else {
      added.push({ name: one.add, field: formatField(one.add, encodeWords(one.value)) });
    }
  }
  return header.edit({
    prepend: added.map(({ field }) => field),
    remove: state === "tooLarge" ? [] : removed,
  });
}

async function* replaced(
  content: Content,
  front: Uint8Array,
  skipped: number,
): AsyncIterable<Uint8Array> {
  yield front.slice();
  let left = skipped;
  for await (const piece of content.open()) {
    const skip = Math.min(left, piece.length);
    left -= skip;
    if (skip < piece.length) yield piece.subarray(skip);
  }
}

/** What the content's bytes are, whatever was declared of them. */
export async function surveyOf(content: Content): Promise<ContentSurvey> {
  const survey = new ContentSurvey();
  for await (const piece of content.open()) survey.push(piece);
  return survey.end();
}

/** The content converted to 7-bit (RFC 6152 §3), or why that cannot be. */
export async function inSevenBit(
  content: Content,
): Promise<{ readonly content: Content } | { readonly failure: SevenBitFailure }> {
  const { whole } = content;
  const converter = new SevenBitConverter();
  const kept: Uint8Array[] = [];
  let size = 0;
  // Content that streams is only measured here: nothing may be sent before it is known to convert.
  const take = (pieces: readonly Uint8Array[]) => {
    for (const piece of pieces) size += piece.length;
    if (whole !== undefined) kept.push(...pieces);
  };
  for await (const piece of content.open()) {
    take(converter.push(piece));
    if (converter.failure !== undefined) return { failure: converter.failure };
  }
  take(converter.end());
  if (converter.failure !== undefined) return { failure: converter.failure };
  if (whole !== undefined) return { content: inMemory(concat(kept)) };
  return {
    content: { size, whole: undefined, passing: false, open: () => convertedStream(content) },
  };
}

async function* convertedStream(content: Content): AsyncIterable<Uint8Array> {
  const converter = new SevenBitConverter();
  for await (const piece of content.open()) yield* converter.push(piece);
  yield* converter.end();
}

function inMemory(whole: Uint8Array): Content {
  return { size: whole.length, whole, passing: false, open: () => [whole] };
}
