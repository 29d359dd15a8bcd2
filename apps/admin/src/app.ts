/**
 * The REST API as a Hono app. It is handed its store and knows no runtime: nothing here needs
 * `Deno` or `node:`.
 */
import { type ResourceKind, resourceKinds } from "@postern/config";
import { type ConfigurationStore, isUnavailable, type MessageStore } from "@postern/store";
import { Hono } from "hono";
import { requireToken } from "./authentication.ts";
import { messageRoutes } from "./messages.ts";
import { Problem, problemResponse } from "./problem.ts";
import { resourceRoutes } from "./resources.ts";

/** What the API works with. */
export interface AdminAppOptions {
  readonly configuration: ConfigurationStore;
  readonly messages: MessageStore;
  /** Resolves when the database answers. */
  readonly ping: () => Promise<void>;
  /** The bearer token that requests must show. */
  readonly token: string;
  /** Told of errors that are nobody's request's fault. */
  readonly onError: (error: unknown) => void;
}

/** Makes the app. */
export function createAdminApp(options: AdminAppOptions): Hono {
  const { configuration, messages, ping, token, onError } = options;
  const app = new Hono();

  app.get("/healthz", (context) => context.json({ status: "ok" }));
  app.get("/readyz", async (context) => {
    try {
      await ping();
      return context.json({ status: "ok", database: "ok" });
    } catch {
      return context.json({ status: "unavailable", database: "unavailable" }, 503);
    }
  });
  app.get("/metrics", async (context) => {
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
    return context.text(`${lines.join("\n")}\n`);
  });

  app.use("/v1/*", requireToken(token));
  for (const kind of Object.keys(resourceKinds) as ResourceKind[]) {
    app.route(`/v1/${kind}`, resourceRoutes(kind, configuration));
  }
  app.route("/v1/messages", messageRoutes(messages));

  app.notFound((context) =>
    problemResponse(context, new Problem(404, "Not found", `Nothing is at ${context.req.path}`))
  );
  app.onError((error, context) => {
    if (error instanceof Problem) return problemResponse(context, error);
    if (isUnavailable(error)) {
      const headers = { "Retry-After": "5" };
      const problem = new Problem(503, "Unavailable", "The database is away", { headers });
      return problemResponse(context, problem);
    }
    onError(error);
    return problemResponse(context, new Problem(500, "Internal error", "The log tells more"));
  });
  return app;
}
