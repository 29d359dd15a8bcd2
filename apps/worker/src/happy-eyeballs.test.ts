import { expect, test } from "vitest";
import { reachFirst } from "./happy-eyeballs.ts";

/** Addresses whose answers a test gives, and a clock that a test moves. */
class Network {
  readonly dialled: string[] = [];
  readonly cancelled: string[] = [];
  readonly #answers = new Map<string, (result: { value: string } | { problem: string }) => void>();
  #alarm: (() => void) | undefined;

  readonly dial = (address: string) => {
    this.dialled.push(address);
    const { promise, resolve } = Promise.withResolvers<{ value: string } | { problem: string }>();
    this.#answers.set(address, resolve);
    return { done: promise, cancel: () => void this.cancelled.push(address) };
  };

  readonly after = (milliseconds: number, callBack: () => void) => {
    expect(milliseconds).toBe(250);
    this.#alarm = callBack;
    return () => this.#alarm = undefined;
  };

  get isWaiting(): boolean {
    return this.#alarm !== undefined;
  }

  async answer(address: string, result: { value: string } | { problem: string }) {
    this.#answers.get(address)!(result);
    await Promise.resolve();
    await Promise.resolve();
  }

  pass() {
    const alarm = this.#alarm;
    this.#alarm = undefined;
    alarm?.();
  }
}

test("the first address that answers at once is the only one dialled", async () => {
  const network = new Network();
  const reached = reachFirst(["::1", "127.0.0.1"], network);
  await network.answer("::1", { value: "socket" });
  expect(await reached).toEqual({ value: "socket", address: "::1" });
  expect(network.dialled).toEqual(["::1"]);
  expect(network.isWaiting).toBe(false);
});

test("an address that fails makes way at once", async () => {
  const network = new Network();
  const reached = reachFirst(["::1", "127.0.0.1"], network);
  await network.answer("::1", { problem: "refused" });
  expect(network.dialled).toEqual(["::1", "127.0.0.1"]);
  await network.answer("127.0.0.1", { value: "socket" });
  expect(await reached).toEqual({ value: "socket", address: "127.0.0.1" });
});

test("a silent address goes on beside the next ones, and may win", async () => {
  const network = new Network();
  const reached = reachFirst(["a", "b", "c"], network);
  network.pass();
  expect(network.dialled).toEqual(["a", "b"]);
  network.pass();
  expect(network.dialled).toEqual(["a", "b", "c"]);
  expect(network.isWaiting).toBe(false);
  await network.answer("a", { value: "late" });
  expect(await reached).toEqual({ value: "late", address: "a" });
  expect(network.cancelled).toEqual(["b", "c"]);
});

test("when all fail, each says why", async () => {
  const network = new Network();
  const reached = reachFirst(["a", "b"], network);
  network.pass();
  await network.answer("b", { problem: "refused" });
  await network.answer("a", { problem: "timed out" });
  expect(await reached).toEqual({
    problems: [{ address: "b", problem: "refused" }, { address: "a", problem: "timed out" }],
  });
});

test("no address is no connection", async () => {
  expect(await reachFirst([], new Network())).toEqual({ problems: [] });
});
