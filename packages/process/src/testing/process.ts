/** A process for the tests of run.ts; its first argument says how it behaves. */
import { runProcess, StartError } from "../index.ts";

const behaviour = Deno.args[0];
await runProcess("worker", async (context) => {
  const say = (line: string) => Deno.stdout.writeSync(new TextEncoder().encode(line + "\n"));
  if (behaviour === "start-error") {
    context.onStop(() => void say("cleaned"));
    throw new StartError("the moon is in the way");
  }
  if (behaviour === "mendable") throw new StartError("a rule is wrong", { mendable: true });
  if (behaviour === "bug") throw new TypeError("a bug");
  context.onStop(() => void say("first registered"));
  context.onStop(async () => {
    await Promise.resolve();
    say("last registered");
  });
  context.onStop(() => {
    if (behaviour === "stop-fails") throw new Error("will not");
    if (behaviour === "hangs") return new Promise<void>(() => {});
  });
  if (behaviour === "hears") context.onHangup(() => say("heard"));
  context.ready({ listening: ["smtp://127.0.0.1:1"] });
  if (behaviour === "rejects") void Promise.reject(new Error("nobody caught this"));
  if (behaviour === "logs") {
    context.log.with({ queueId: "q1" }).warning("odd {braces}", {
      error: new Error("why"),
      level: "mine",
      size: 12n,
    });
  }
  await Promise.resolve();
}, behaviour === "done" || behaviour === "logs" ? { exitWhenDone: true } : {});
