import type { MailParameters } from "@postern/smtp";
import { expect, test } from "vitest";
import { heldUntil } from "./future-release.ts";

const now = new Date("2026-12-01T00:00:00Z");

test.each<[MailParameters, string | undefined]>([
  [{}, undefined],
  [{ holdFor: 90 }, "2026-12-01T00:01:30.000Z"],
  [{ holdUntil: "2026-12-01T12:00:00.5+01:00" }, "2026-12-01T11:00:00.500Z"],
  [{ holdUntil: "2026-12-31T23:59:60Z" }, "2027-01-01T00:00:00.000Z"],
])("%j holds mail until %s", (parameters, expected) => {
  expect(heldUntil(parameters, now)?.toISOString()).toBe(expected);
});
