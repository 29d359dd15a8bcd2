import type { ClientSession } from "@postern/smtp";
import { expect, test } from "vitest";
import { ContentSender, type Line } from "./content-sender.ts";

/** A line that takes everything and tells what it was given. */
function recordingLine() {
  const told: string[] = [];
  const session = {
    content: (bytes: Uint8Array) => told.push(new TextDecoder().decode(bytes)) > 0,
    endOfContent: () => void told.push("end"),
    abortContent: () => void told.push("abort"),
    holdsContent: false,
  };
  const line: Line = {
    session: session as unknown as ClientSession,
    socket: { writableNeedDrain: false, writableLength: 0 } as never,
    pump: () => {},
    moved: () => {},
  };
  return { told, line };
}

/** Content whose rest comes when it may. */
function heldContent(late: string) {
  const rest = Promise.withResolvers<void>();
  const seen = { isLetGo: false };
  async function* open() {
    try {
      yield new TextEncoder().encode("one");
      await rest.promise;
      if (late === "error") throw new Error("too late");
      if (late === "piece") yield new TextEncoder().encode("two");
    } finally {
      seen.isLetGo = true;
    }
  }
  return { open, release: rest.resolve, seen };
}

test("content that comes after its transaction was decided goes nowhere", async () => {
  for (const late of ["piece", "end", "error"]) {
    const { told, line } = recordingLine();
    const { open, release, seen } = heldContent(late);
    const failures: unknown[] = [];
    const sender = new ContentSender(
      { open, passing: true },
      line,
      (error) => failures.push(error),
    );
    const sending = sender.send();
    await new Promise((resolve) => setImmediate(resolve));
    sender.end();
    release();
    await sending;
    expect(told).toEqual(["one"]);
    expect(failures).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(seen.isLetGo).toBe(true);
  }
});
