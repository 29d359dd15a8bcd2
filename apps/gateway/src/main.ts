/**
 * NAME
 *   gateway - all of Postern in one go
 *
 * SYNOPSIS
 *   npm start
 *
 * DESCRIPTION
 *   Starts an embedded Postgres under the data dir (unless DATABASE_URL names one), brings its
 *   tables up to date, and starts ingress, admin and worker as processes of their own. One that
 *   dies is started again after 0.2 s, the pause doubling up to 10 s; 30 s of service reset it.
 *   An embedded Postgres that dies is started again too, at the same port.
 *   When all serve, standard output gets their addresses and three commands to try.
 *
 *   On SIGTERM or SIGINT the processes drain, up to 30 s, and Postgres stops last. If this process
 *   is killed, the others see their standard input end, drain and exit. SIGHUP is passed on to the
 *   processes: the ingress reads the certificate's files anew.
 *
 * SECURITY
 *   Needs to write the data dir and to start programs; its children need neither. The admin token
 *   and the key that seals secrets of the configuration are generated at the first start into
 *   `admin-token` and `secret-key` in the data dir (mode 600), unless POSTERN_ADMIN_TOKEN and
 *   POSTERN_SECRET_KEY are set, and reach the children in their environment. So is a self-signed
 *   certificate, unless POSTERN_TLS_CERT_FILE names one; the children read it there.
 *
 * DIAGNOSTICS
 *   Exit code 0 after a drain. Exit code 1, with one sentence on standard error, when a variable is
 *   wrong, the data dir cannot be used or another gateway uses it, a port is taken, the database
 *   cannot be reached, or a process fails at its first start. Where that is for a stored definition
 *   that does not parse, it is started again and again, and the API serves, to mend it by.
 *
 * CONFIGURATION
 *   DATABASE_URL and the POSTERN_ variables, as in the README.
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import { resolve } from "node:path";
import { lockDataDir } from "@postern/postgres";
import {
  adminToken,
  type ProcessContext,
  runProcess,
  secretKey,
  StartError,
} from "@postern/process";
import { databaseProblem, migrate, seedSandbox } from "@postern/store";
import { openCertificate } from "@postern/tls";
import { gatewayChildren } from "./children.ts";
import { keepPostgres } from "./embedded-postgres.ts";
import { portProblem } from "./ports.ts";
import { supervise } from "./supervisor.ts";
import { welcome } from "./welcome.ts";

if (import.meta.main) await runProcess("gateway", start);

async function start(context: ProcessContext): Promise<void> {
  const { environment, log, stopping } = context;
  // A path that they cannot be given is told before a database is made.
  gatewayChildren(environment, environment.databaseUrl ?? "");
  const dataDir = resolve(environment.dataDir);
  lock(context, dataDir);
  await checkPorts(context);
  const databaseUrl = environment.databaseUrl ?? await embeddedDatabase(context, dataDir);
  const token = await adminToken(environment);
  const key = await secretKey(environment);
  // Made here, where files may be written: the children only read it.
  (await openCertificate(environment, log, () => new Date())).stop();
  await prepare(databaseUrl, environment.databaseUrl === undefined);
  if (stopping.aborted) return;

  const supervisor = supervise({
    children: gatewayChildren(environment, databaseUrl),
    env: {
      DATABASE_URL: databaseUrl,
      POSTERN_ADMIN_TOKEN: token.token,
      POSTERN_SECRET_KEY: Buffer.from(key).toString("base64"),
    },
    log,
  });
  context.onStop(() => supervisor.stop());
  context.onHangup(() => supervisor.hangUp());
  const stopped = new Promise<undefined>((settle) =>
    stopping.addEventListener("abort", () => settle(undefined))
  );
  const first = await Promise.race([supervisor.firstStart, stopped]);
  if (first === undefined) return;
  if (!first.ok) throw new StartError(`${first.failed} could not start, for the reason above`);

  const smtp = first.listening["ingress"] ?? [];
  const api = first.listening["admin"] ?? [];
  context.ready({ listening: [...smtp, ...api] });
  process.stdout.write(welcome({
    smtp,
    api,
    tokenFile: token.file,
    sandbox: environment.databaseUrl === undefined,
  }));
}

/** Makes sure that no other gateway uses the data dir, and that it can be used. */
function lock({ onStop }: ProcessContext, dataDir: string): void {
  const locked = lockDataDir(dataDir);
  if (!locked.ok) throw new StartError(locked.problem);
  onStop(() => locked.release());
}

/** Ends the start if an address is taken. */
async function checkPorts({ environment }: ProcessContext): Promise<void> {
  const problem = await portProblem([
    ...environment.smtpListen.map(({ host, port }) => ({
      variable: "POSTERN_SMTP_LISTEN",
      host,
      port,
    })),
    { variable: "POSTERN_ADMIN_LISTEN", ...environment.adminListen },
  ]);
  if (problem !== undefined) throw new StartError(problem);
}

/** Starts the embedded Postgres, to be stopped last; answers its address. */
async function embeddedDatabase(
  { log, onStop }: ProcessContext,
  dataDir: string,
): Promise<string> {
  const postgres = await keepPostgres({ dataDir, log });
  onStop(() => postgres.stop());
  return postgres.url;
}

/** Brings the tables up to date; a database that cannot be reached is an expected failure. */
async function prepare(databaseUrl: string, embedded: boolean): Promise<void> {
  try {
    await migrate(databaseUrl);
    if (embedded) await seedSandbox(databaseUrl);
  } catch (error) {
    throw new StartError(`the database could not be prepared: ${databaseProblem(error)}`, {
      cause: error,
    });
  }
}
