/**
 * What this package writes, read by a parser that others wrote: Python's email package. Skipped
 * where python3 is missing.
 */
import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildDsn } from "./delivery-status.ts";
import { contents } from "./golden/mime-content.ts";
import { NOTIFICATIONS } from "./golden/notifications.ts";
import { receivedField } from "./trace.ts";
import { toSevenBit } from "./seven-bit.ts";

const READ = `
import base64, email, email.policy, json, sys
def walk(part):
    if part.is_multipart():
        return [part.get_content_type(), [walk(p) for p in part.get_payload()]]
    return [part.get_content_type(), base64.b64encode(part.get_payload(decode=True)).decode()]
def read(raw):
    message = email.message_from_bytes(base64.b64decode(raw))
    defects = [str(d) for p in message.walk() for d in p.defects]
    return {"tree": walk(message), "defects": defects,
            "headers": [[n, str(v)] for n, v in message.items()],
            "inner": [[[n, str(v)] for n, v in p.items()] for p in message.walk()]}
print(json.dumps([read(raw) for raw in json.load(sys.stdin)]))
`;

interface Read {
  readonly tree: readonly [string, unknown];
  readonly defects: readonly string[];
  readonly headers: readonly (readonly [string, string])[];
  readonly inner: readonly (readonly (readonly [string, string])[])[];
}

const base64 = (bytes: Uint8Array) => {
  let text = "";
  for (const octet of bytes) text += String.fromCharCode(octet);
  return btoa(text);
};

/** Python's view of each content. */
function read(all: readonly Uint8Array[]): Read[] {
  const input = JSON.stringify(all.map(base64));
  const python = spawnSync("python3", ["-c", READ], { input, maxBuffer: 1 << 28, timeout: 60_000 });
  expect(python.stderr.toString()).toBe("");
  return JSON.parse(python.stdout.toString()) as Read[];
}

const havePython = spawnSync("python3", ["-c", "import email"]).status === 0;

describe.skipIf(!havePython)("Python's email package", () => {
  test("reads notifications as multipart/report with status fields", () => {
    const names = Object.keys(NOTIFICATIONS) as (keyof typeof NOTIFICATIONS)[];
    const all = read(names.map((name) => buildDsn(NOTIFICATIONS[name]).content));
    const trees = all.map(({ tree, defects }) => {
      expect(defects).toEqual([]);
      const parts = tree[1] as [string, unknown][];
      return [tree[0], ...parts.map((part) => part[0])];
    });
    expect(trees).toEqual([
      ["multipart/report", "text/plain", "message/delivery-status", "message/rfc822"],
      ["multipart/report", "text/plain", "message/delivery-status", "text/rfc822-headers"],
      ["multipart/report", "text/plain", "message/delivery-status", "message/rfc822"],
      ["multipart/report", "text/plain", "message/delivery-status", "text/rfc822-headers"],
      ["multipart/report", "text/plain", "message/global-delivery-status", "message/global"],
    ]);
    // Parts in the order of the walk: report, text, status, its message group, its recipient group.
    const [failed] = all as [Read];
    expect(Object.fromEntries(failed.headers)["Auto-Submitted"]).toBe("auto-replied");
    expect(Object.fromEntries(failed.inner[3]!)).toMatchObject({
      "Reporting-MTA": "dns; mx.example.org",
      "Original-Envelope-Id": "QQ314159",
    });
    expect(Object.fromEntries(failed.inner[4]!)).toMatchObject({
      "Original-Recipient": "rfc822; rob@example.net",
      "Final-Recipient": "rfc822; bob@example.net",
      "Action": "failed",
      "Status": "5.1.1",
    });
  });

  test("finds the same parts in converted content as in the original", () => {
    const originals = fc.sample(contents, { seed: 1652, numRuns: 300 });
    const conversions = originals.map((content) => {
      const converter = toSevenBit();
      const out = [...converter.push(content), ...converter.end()];
      expect(converter.failure).toBeUndefined();
      return Uint8Array.from(out.flatMap((piece) => Array.from(piece)));
    });
    const before = read(originals);
    const after = read(conversions);
    let leaves = 0;
    before.forEach((original, index) => {
      expect(after[index]!.tree).toEqual(original.tree);
      leaves += JSON.stringify(original.tree).split("/").length;
    });
    expect(leaves).toBeGreaterThan(500);
  });

  test("reads the date of a Received field", () => {
    const field = receivedField({
      from: { helo: "a.example", address: "192.0.2.1" },
      by: "mx.example.org",
      protocol: "ESMTPS",
      id: "1",
      date: new Date(Date.UTC(2026, 1, 3, 4, 5, 6)),
    });
    const code = "import sys,email,email.utils as u\n" +
      "v=email.message_from_bytes(sys.stdin.buffer.read())['received']\n" +
      "print(u.parsedate_to_datetime(v.rsplit(';',1)[1]).isoformat())";
    const python = spawnSync("python3", ["-c", code], { input: field });
    expect(python.stdout.toString().trim()).toBe("2026-02-03T04:05:06+00:00");
  });
});
