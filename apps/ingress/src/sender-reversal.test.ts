import { rewriteSender } from "@postern/message";
import { senderSigning } from "@postern/process";
import { expect, test } from "vitest";
import { senderReversal } from "./sender-reversal.ts";

const key = new Uint8Array(32).fill(7);
const now = () => new Date("2026-11-24T12:00:00Z");
const day = Math.floor(now().getTime() / 86_400_000);
const domain = "srs.example";

test("what a worker rewrote leads back, under the same key only", () => {
  const rewritten = rewriteSender("a@out.test", { domain, sign: senderSigning(key), day });
  expect(senderReversal(key, now)?.(rewritten, domain))
    .toEqual({ status: "reversed", address: "a@out.test" });
  expect(senderReversal(new Uint8Array(32), now)?.(rewritten, domain))
    .toEqual({ status: "forged" });
  expect(senderReversal(undefined, now)).toBeUndefined();
});
