/**
 * NAME
 *   admin – the REST API of Postern
 *
 * WHAT IT DOES
 *   Serves the configuration (relays, domains, clients) and the messages with their events over
 *   HTTP. Each change is a new version of the configuration, which every process takes up at once.
 *
 * SECURITY
 *   All below /v1 needs the bearer token. Listens on loopback unless told otherwise; put a proxy
 *   with TLS in front before it listens elsewhere.
 *
 * DIAGNOSTICS
 *   /healthz says that it runs, /readyz that the database answers, /metrics figures for Prometheus.
 *   Errors are problem documents (RFC 9457). Exit code 1: it could not start, one sentence on stderr
 *   says why. SIGTERM: finishes what it serves, exits 0.
 *
 * CONFIGURATION
 *   DATABASE_URL (needed), POSTERN_ADMIN_LISTEN, POSTERN_ADMIN_TOKEN (needed when run by itself),
 *   POSTERN_LOG_LEVEL, POSTERN_LOG_FORMAT.
 */
import { hostname as machineName } from "node:os";
import { requireDatabaseUrl, runProcess, StartError } from "@postern/process";
import {
  HEARTBEAT_MILLISECONDS,
  keepRegistered,
  openConfiguration,
  openDatabase,
  openMessages,
  ping,
} from "@postern/store";
import { createAdminApp } from "./app.ts";

await runProcess("admin", async ({ environment, log, onStop, ready }) => {
  const token = environment.adminToken;
  if (token === undefined) {
    throw new StartError("POSTERN_ADMIN_TOKEN is not set: choose the token that the API asks for");
  }
  const database = openDatabase(requireDatabaseUrl(environment), {
    applicationName: "postern admin",
  });
  onStop(() => database.close());
  const app = createAdminApp({
    configuration: openConfiguration(database),
    messages: openMessages(database),
    ping: () => ping(database),
    token,
    onError: (error) => log.error("request failed", { error: String(error) }),
  });
  const registration = await keepRegistered(database, {
    description: { kind: "admin", host: machineName(), pid: Deno.pid },
    everyMilliseconds: HEARTBEAT_MILLISECONDS,
    onError: (error) => log.warning("heartbeat failed", { error: String(error) }),
  }).catch((error) => {
    throw new StartError(`the database cannot be read: ${error.message}. Is it migrated?`);
  });
  onStop(() => registration.stop());
  const server = listen(environment.adminListen, app.fetch);
  onStop(() => server.shutdown());
  const { hostname, port } = server.addr as Deno.NetAddr;
  ready({ listening: [`http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`] });
});

function listen(
  { host, port }: { readonly host: string; readonly port: number },
  fetch: (request: Request) => Response | Promise<Response>,
): Deno.HttpServer {
  try {
    return Deno.serve({ hostname: host, port, onListen: () => {} }, (request) => fetch(request));
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    throw new StartError(`POSTERN_ADMIN_LISTEN ${host}:${port}: the port is already in use`);
  }
}
