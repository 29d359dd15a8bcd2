/**
 * The REST API as a Hono app. It is handed its store and knows no runtime: nothing here needs
 * `Deno` or `node:`.
 */
import { type ResourceKind, resourceKinds } from "@postern/config";
import type { SecretKey } from "@postern/secrets";
import { isPassing, isUnavailable, UnreadableConfiguration } from "@postern/store";
import { type Context, Hono } from "hono";
import { auditOperations } from "./audit.ts";
import { requireScope, requireToken } from "./authentication.ts";
import { destinationOperations } from "./destinations.ts";
import { docsPage } from "./docs.ts";
import { documentOperations } from "./document.ts";
import { explainOperations } from "./explain.ts";
import { once } from "./idempotency.ts";
import { messageActionOperations } from "./message-actions.ts";
import { messageOperations } from "./messages.ts";
import { monitoringOperations } from "./monitoring.ts";
import { openApiDocument } from "./openapi.ts";
import type { Operation } from "./operation.ts";
import { actorOf } from "./principal.ts";
import { Problem, problemResponse } from "./problem.ts";
import { recipientListOperations } from "./recipient-lists.ts";
import { replayOperations } from "./replay.ts";
import { resourceOperations } from "./resources.ts";
import { Snapshots } from "./snapshots.ts";
import type { Stores } from "./stores.ts";
import { tokenOperations } from "./tokens.ts";
import { versionOperations } from "./versions.ts";

/** What the API works with. */
export interface AdminAppOptions extends Stores {
  /** The gateway's own name, as explanations need it. */
  readonly hostname: string;
  /** Resolves when the database answers. */
  readonly ping: () => Promise<void>;
  /** The bootstrap token: it has all scopes. */
  readonly token: string;
  /** Seals the secrets of the configuration. */
  readonly secretKey: SecretKey;
  /** Milliseconds since the epoch; the system's clock when absent. */
  readonly now?: () => number;
  /** Told of errors that are nobody's request's fault. */
  readonly onError: (error: unknown) => void;
}

/** Makes the app. */
export function createAdminApp(options: AdminAppOptions): Hono {
  const { messages, token, tokens, onError, now = Date.now } = options;
  const snapshots = new Snapshots(options.configuration);
  let page: ReturnType<typeof docsPage> | undefined;
  const operations: Operation[] = [
    ...monitoringOperations(options),
    {
      method: "get",
      path: "/v1/openapi.json",
      id: "openapi",
      summary: "This document",
      scope: "none",
      answers: { 200: { description: "The OpenAPI document", type: "application/json" } },
      serve: (context) => context.json(openApiDocument(operations)),
    },
    {
      method: "get",
      path: "/docs",
      id: "docs",
      summary: "This document as a page for people",
      scope: "none",
      answers: { 200: { description: "The page", type: "text/html" } },
      serve: async (context) => {
        page ??= docsPage(openApiDocument(operations));
        const { html, contentSecurityPolicy } = await page;
        return context.html(html, 200, {
          "Content-Security-Policy": contentSecurityPolicy,
          "X-Content-Type-Options": "nosniff",
          "Referrer-Policy": "no-referrer",
        });
      },
    },
    ...(Object.keys(resourceKinds) as ResourceKind[])
      .flatMap((kind) => resourceOperations(kind, options)),
    ...documentOperations(options),
    ...versionOperations(options),
    ...tokenOperations({ tokens, now }),
    ...auditOperations(options.audit),
    ...recipientListOperations(options.recipientLists),
    ...messageOperations(messages),
    ...messageActionOperations({ ...options, snapshots }),
    ...destinationOperations({ ...options, snapshots }),
    ...explainOperations({ ...options, snapshots }),
    ...replayOperations(options),
  ];

  const app = new Hono();
  // What is registered before the token is asked for answers without it.
  register(app, operations.filter(({ scope }) => scope === "none"), options);
  app.use("/v1/*", requireToken({ token, tokens, now }));
  register(app, operations.filter(({ scope }) => scope !== "none"), options);

  app.notFound((context) =>
    problemResponse(context, new Problem(404, "Not found", `Nothing is at ${context.req.path}`))
  );
  app.onError((error, context) => {
    if (error instanceof Problem) return problemResponse(context, error);
    if (error instanceof UnreadableConfiguration) {
      return problemResponse(context, new Problem(500, "Configuration at fault", error.message));
    }
    const away = isUnavailable(error);
    if (!away) onError(error);
    if (away || isPassing(error)) {
      const headers = { "Retry-After": "5" };
      const detail = away ? "The database is away" : "The database did not come to it now";
      return problemResponse(context, new Problem(503, "Unavailable", detail, { headers }));
    }
    return problemResponse(context, new Problem(500, "Internal error", "The log tells more"));
  });
  return app;
}

/** Serves the operations, and tells other methods which ones there are (RFC 9110 §15.5.6). */
function register(
  app: Hono,
  operations: readonly Operation[],
  { audit, idempotencyKeys: keys, secretKey }: AdminAppOptions,
): void {
  const methods = new Map<string, string[]>();
  for (const { method, path, scope, moreScopes = [], serve: perform, audited } of operations) {
    const serve = async (context: Context) => {
      const response = await perform(context);
      if (audited !== undefined && response.ok) {
        const target = context.req.path.replace("/v1/", "").slice(0, 500);
        await audit.record({ ...actorOf(context), action: audited, target });
      }
      return response;
    };
    const pattern = path.replace(/\{(\w+)\}/g, ":$1");
    app.on(method.toUpperCase(), pattern, async (context) => {
      if (scope === "none") return await serve(context);
      for (const one of [scope, ...moreScopes]) await requireScope(context, one, audit);
      if (method !== "post") return await serve(context);
      return await once(context, { keys, secretKey }, () => serve(context));
    });
    const allowed = method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()];
    methods.set(pattern, [...methods.get(pattern) ?? [], ...allowed]);
  }
  for (const [pattern, allowed] of methods) {
    const Allow = allowed.join(", ");
    app.all(pattern, (context) => {
      const detail = `${context.req.path} takes ${Allow}, not ${context.req.method}`;
      throw new Problem(405, "Method not allowed", detail, { headers: { Allow } });
    });
  }
}
