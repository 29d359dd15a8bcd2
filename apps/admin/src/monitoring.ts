/** What monitoring asks for: is it alive, is it ready, how much is there to do. Without a token. */
import type { MessageStore } from "@postern/store";
import { z } from "zod";
import type { Operation } from "./operation.ts";

/** A database that takes longer than so many milliseconds to answer counts as away. */
const PATIENCE = 3000;

/** Figures are counted again after so many milliseconds, however many ask for them. */
const FIGURES_KEPT = 5000;

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
  const figures = atMostEvery(FIGURES_KEPT, () => messages.figures());
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
        const { waiting, claimed, held, oldestSeconds, destinations, processes } = await figures();
        const lines = [
          "# HELP postern_queue_deliveries Deliveries in the queue.",
          "# TYPE postern_queue_deliveries gauge",
          `postern_queue_deliveries{state="waiting"} ${waiting}`,
          `postern_queue_deliveries{state="claimed"} ${claimed}`,
          "# HELP postern_queue_oldest_seconds Age of the oldest message in the queue.",
          "# TYPE postern_queue_oldest_seconds gauge",
          `postern_queue_oldest_seconds ${oldestSeconds.toFixed(3)}`,
          "# HELP postern_recipients_held Recipients that are held for an administrator.",
          "# TYPE postern_recipients_held gauge",
          `postern_recipients_held ${held}`,
          "# HELP postern_destinations Destinations that fail as a whole or are paused.",
          "# TYPE postern_destinations gauge",
          `postern_destinations{state="failing"} ${destinations.failing}`,
          `postern_destinations{state="paused"} ${destinations.paused}`,
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

/** Asks at most so often; who asks in between has the last answer. A failure is not kept. */
function atMostEvery<Value>(milliseconds: number, ask: () => Promise<Value>): () => Promise<Value> {
  let kept: { readonly at: number; readonly value: Promise<Value> } | undefined;
  return () => {
    if (kept !== undefined && performance.now() - kept.at < milliseconds) return kept.value;
    const asked = { at: performance.now(), value: ask() };
    kept = asked;
    asked.value.catch(() => {
      if (kept === asked) kept = undefined;
    });
    return asked.value;
  };
}
