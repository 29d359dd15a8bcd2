/** `postern status`: is the gateway there, and what has it to do. */
import type { Command } from "commander";
import { bodyOf, openSession } from "../gateway.ts";
import type { Surroundings } from "../surroundings.ts";
import { factsOf } from "../table.ts";

/** Adds the command. */
export function addStatusCommand(program: Command, surroundings: Surroundings): void {
  program.command("status").description("whether the gateway is ready, and what there is to do")
    .action(async (_options, command: Command) => {
      const session = await openSession(command, surroundings);
      const asked = async (path: string) => bodyOf(await session.client.request(path));
      const readiness = await (await asked("/readyz")).json() as {
        readonly status: string;
        readonly database: string;
      };
      const text = await (await asked("/metrics")).text();
      const figure = (name: string) => {
        const found = text.split("\n").find((line) => line.startsWith(`${name} `));
        return found === undefined ? 0 : Number(found.slice(name.length + 1));
      };
      const processes = Object.fromEntries(
        [...text.matchAll(/^postern_processes\{kind="(\w+)"\} (\d+)$/gm)]
          .map(([, kind, count]) => [kind!, Number(count)]),
      );
      const status = {
        url: session.client.url,
        ...readiness,
        processes,
        waiting: figure('postern_queue_deliveries{state="waiting"}'),
        inFlight: figure('postern_queue_deliveries{state="claimed"}'),
      };
      session.show(status, () =>
        factsOf([
          ["gateway", `${status.url} is ${status.status}`],
          ["database", status.database],
          [
            "processes",
            Object.entries(processes).map(([kind, count]) => `${count} ${kind}`).join(", ") ||
            "none",
          ],
          ["queue", `${status.waiting} waiting, ${status.inFlight} in flight`],
        ]));
    });
}
