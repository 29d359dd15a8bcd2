import { expect, test } from "vitest";
import { Ledger } from "./ledger.ts";

/** A ledger with one promised message, and how its copies arrive. */
function sentOnce() {
  const ledger = new Ledger();
  ledger.send("m", ["a"], "body");
  ledger.promise("m");
  const arrive = (worker: string, reply: string) =>
    ledger.arrive("m", ["a"], "body", { worker, reply });
  const faults = (...recorded: string[]) => ledger.balance(new Set(recorded)).faults;
  return { ledger, arrive, faults };
}

/** Time passes: the clock of the books is finer than a millisecond, not infinitely so. */
const tick = () => new Promise((wake) => setTimeout(wake, 2));

test("a second copy is right when the first one's worker died before it, unrecorded", async () => {
  const { ledger, arrive, faults } = sentOnce();
  arrive("one", "250 1");
  ledger.bury("one");
  await tick();
  arrive("two", "250 2");
  expect(faults("250 2")).toEqual([]);
  expect(faults("250 1", "250 2")).toEqual([expect.stringMatching(/copy 1 is in the books/)]);
  expect(faults("250 1")).toHaveLength(2);
});

test("a second copy is wrong while the first one's worker lives, whoever else died", async () => {
  const { ledger, arrive, faults } = sentOnce();
  arrive("one", "250 1");
  ledger.bury("another");
  ledger.kill("postgres");
  await tick();
  arrive("two", "250 2");
  expect(faults("250 2")).toEqual([expect.stringMatching(/who made copy 1 was alive/)]);
  await tick();
  ledger.bury("one");
  expect(faults("250 2")).toEqual([expect.stringMatching(/who made copy 1 was alive/)]);
});

test("what is lost, and what no book knows, is a fault", () => {
  const { arrive, faults } = sentOnce();
  expect(faults()).toEqual(["m a: lost"]);
  arrive("one", "250 1");
  expect(faults("250 1")).toEqual([]);
  expect(faults()).toEqual([expect.stringMatching(/copy 1 is not in the books/)]);
});
