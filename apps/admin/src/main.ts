/**
 * NAME
 *   admin – the REST API of Postern
 *
 * WHAT IT DOES
 *   Serves the configuration (relays, domains, clients) and the messages with their events over
 *   HTTP. Each change is a new version of the configuration, which every process takes up at once.
 *   /v1/openapi.json describes it all. Several may run side by side.
 *
 * SECURITY
 *   All below /v1 needs the bearer token. Listens on loopback unless told otherwise; put a proxy
 *   with TLS in front before it listens elsewhere. /healthz, /readyz, /metrics and the description
 *   need no token. Runs no program; writes one file, the token's, and only when no token is given.
 *
 * DIAGNOSTICS
 *   /healthz says that it runs, /readyz that the database answers, /metrics figures for Prometheus.
 *   Errors are problem documents (RFC 9457). Exit code 1: it could not start, one sentence on stderr
 *   says why. SIGTERM: finishes what it serves, exits 0.
 *
 * CONFIGURATION
 *   DATABASE_URL (needed), POSTERN_ADMIN_LISTEN, POSTERN_ADMIN_TOKEN (when unset, the token is in
 *   the file admin-token of POSTERN_DATA_DIR, made at the first start), POSTERN_LOG_LEVEL,
 *   POSTERN_LOG_FORMAT.
 */
import { hostname as machineName } from "node:os";
import {
  adminToken,
  type Environment,
  requireDatabaseUrl,
  runProcess,
  secretKey,
  StartError,
} from "@postern/process";
import {
  databaseProblem,
  HEARTBEAT_MILLISECONDS,
  keepRegistered,
  openDatabase,
  ping,
  UnreadableConfiguration,
} from "@postern/store";
import { importSecretKey } from "@postern/secrets";
import { createAdminApp } from "./app.ts";
import { unopenedSecrets } from "./sealing.ts";
import { openStores } from "./stores.ts";

await runProcess("admin", async ({ environment, log, onStop, ready }) => {
  const database = openDatabase(requireDatabaseUrl(environment), {
    applicationName: "postern admin",
  });
  onStop(() => database.close());
  const { token, file, created } = await adminToken(environment);
  if (file !== undefined) log.info(created ? "token made" : "token read", { file });
  const key = await importSecretKey(await secretKey(environment));
  const stores = openStores(database);
  const app = createAdminApp({
    ...stores,
    hostname: environment.hostname,
    ping: () => ping(database),
    token,
    secretKey: key,
    onError: (error) => log.error("request failed", { error }),
  });
  await stores.configuration.load().catch((error) => {
    if (!(error instanceof UnreadableConfiguration)) unreadable(error);
    // This process is what it can be mended by.
    log.error("the configuration cannot be read", { problem: error.message });
  });
  const configuration = await stores.configuration.loadToChange().catch(unreadable);
  const unopened = await unopenedSecrets(configuration, key);
  for (const where of unopened) {
    log.error("a secret cannot be opened: it was sealed under another key", {
      where,
      remedy: "bring back the former POSTERN_SECRET_KEY or secret-key file, or set it anew",
    });
  }
  const server = listen(
    environment.adminListen,
    (request, address) => app.fetch(request, { address }),
  );
  const { hostname, port } = server.addr as Deno.NetAddr;
  const listening = [`http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`];
  const registration = await keepRegistered(database, {
    description: { kind: "admin", host: machineName(), pid: Deno.pid, listening },
    everyMilliseconds: HEARTBEAT_MILLISECONDS,
    onError: (error) => log.warning("heartbeat failed", { error: databaseProblem(error) }),
  }).catch(unreadable);
  onStop(() => registration.stop());
  onStop(() => server.shutdown());
  ready({ listening });
});

function unreadable(error: Error): never {
  throw new StartError(`the database cannot be read: ${databaseProblem(error)}`);
}

function listen(
  { host, port }: Environment["adminListen"],
  fetch: (request: Request, address: string) => Response | Promise<Response>,
): Deno.HttpServer {
  try {
    return Deno.serve({ hostname: host, port, onListen: () => {} }, (
      request,
      { remoteAddr },
    ) => fetch(request, remoteAddr.hostname));
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) {
      throw new StartError(`port ${port} of POSTERN_ADMIN_LISTEN is already in use`);
    }
    if (!(error instanceof Error)) throw error;
    throw new StartError(`POSTERN_ADMIN_LISTEN ${host}:${port}: cannot listen: ${error.message}`);
  }
}
