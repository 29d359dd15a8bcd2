/** A supervisor with one child, to be killed by a test; says when the child serves. */
import { supervise } from "../supervisor.ts";

const silent = { debug() {}, info() {}, warning() {}, error() {}, with: () => silent };
const supervisor = supervise({
  children: [{ name: "a", args: Deno.args }],
  env: {},
  log: silent,
});
console.log(await supervisor.firstStart);
setInterval(() => {}, 60_000);
