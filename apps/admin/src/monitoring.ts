/** What monitoring asks for: is it alive, is it ready, how much is there to do. Without a token. */
import type { MessageStore } from "@postern/store";
import { z } from "zod";
import type { Operation } from "./operation.ts";

/** A database that takes longer than so many milliseconds to answer counts as away. */
const PATIENCE = 3000;

const readiness = z.object({
  status: z.enum(["ok", "unavailable"]),
  database: z.enum(["ok", "unavailable"]),
});

/** The operations. */
export function monitoringOperations(
  { ping, messages }: {
    readonly ping: () => Promise<void>;
    readonly messages: Pick<MessageStore, "figures">;
  },
): Operation[] {
  return [
    {
      method: "get",
      path: "/healthz",
      id: "health",
      summary: "Whether the process runs",
      scope: "none",
      answers: {
        200: { description: "It runs", schema: z.object({ status: z.literal("ok") }) },
      },
      serve: (context) => context.json({ status: "ok" }),
    },
    {
      method: "get",
      path: "/readyz",
      id: "readiness",
      summary: "Whether the database answers",
      scope: "none",
      answers: {
        200: { description: "It does", schema: readiness },
        503: { description: "It does not", schema: readiness },
      },
      serve: async (context) =>
        await answers(ping, PATIENCE)
          ? context.json({ status: "ok", database: "ok" })
          : context.json({ status: "unavailable", database: "unavailable" }, 503),
    },
    {
      method: "get",
      path: "/metrics",
      id: "metrics",
      summary: "Figures in the text format of Prometheus",
      scope: "none",
      answers: { 200: { description: "The figures", type: "text/plain" } },
      problems: [500, 503],
      serve: async (context) => {
        const { waiting, claimed, processes } = await messages.figures();
        const lines = [
          "# HELP postern_queue_deliveries Deliveries in the queue.",
          "# TYPE postern_queue_deliveries gauge",
          `postern_queue_deliveries{state="waiting"} ${waiting}`,
          `postern_queue_deliveries{state="claimed"} ${claimed}`,
          "# HELP postern_processes Running processes.",
          "# TYPE postern_processes gauge",
          ...Object.entries(processes).map(([kind, n]) => `postern_processes{kind="${kind}"} ${n}`),
        ];
        return context.body(`${lines.join("\n")}\n`, 200, {
          "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
        });
      },
    },
  ];
}

/** Whether it resolves in time. */
async function answers(ping: () => Promise<void>, milliseconds: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  try {
    return await Promise.race([ping().then(() => true, () => false), late]);
  } finally {
    clearTimeout(timer);
  }
}
