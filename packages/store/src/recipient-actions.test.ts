import { describe, expect, test } from "vitest";
import { RECIPIENT_ACTIONS, stateAfter } from "./recipient-actions.ts";

const TABLE = `
  state      hold  release retry    cancel  reroute
  queued     held  -       -        deleted queued
  deferred   held  -       deferred deleted queued
  held       -     queued  -        deleted held
  delivered  -     -       -        -       -
  bounced    -     -       -        -       -
  deleted    -     -       -        -       -`;

const [head, ...rows] = TABLE.trim().split("\n").map((line) => line.trim().split(/ +/));

describe("each state and action", () => {
  test("is in the table", () => expect(head!.slice(1)).toEqual(RECIPIENT_ACTIONS));

  test.each(
    rows.flatMap(([state, ...next]) =>
      next.map((after, index) => [state!, RECIPIENT_ACTIONS[index]!, after] as const)
    ),
  )("%s, %s: %s", (state, action, after) => {
    expect(stateAfter(action, state as "queued") ?? "-").toBe(after);
  });
});
