/**
 * NAME
 *   ingress – the SMTP listener of Postern
 *
 * WHAT IT DOES
 *   Listens for SMTP (RFC 5321), asks routing about each recipient, and commits each message with
 *   its recipients and their routing to Postgres before it says 250. It never delivers: workers do.
 *   Several may run side by side, on one machine (they share the port) or on many.
 *
 * SECURITY
 *   Talks to the world: all that comes in is parsed by the bounds of @postern/smtp. Relays only for
 *   clients of the configuration and to domains of the configuration. Needs no write access to any
 *   file and runs no program.
 *
 * DIAGNOSTICS
 *   When Postgres is away, messages get 451 4.3.0 and nothing is accepted; the configuration last
 *   read stays in force. Exit code 1: it could not start, one sentence on stderr says why. SIGTERM:
 *   takes no new connection, ends each session at its next command with 421 4.3.2, then exits 0.
 *   SIGHUP: reads the certificate's files anew; they are also looked at every ten seconds.
 *
 * CONFIGURATION
 *   DATABASE_URL (needed), POSTERN_SMTP_LISTEN, POSTERN_HOSTNAME, POSTERN_TLS_CERT_FILE
 *   and POSTERN_TLS_KEY_FILE, POSTERN_DATA_DIR, POSTERN_SECRET_KEY, POSTERN_LOG_LEVEL,
 *   POSTERN_LOG_FORMAT; everything else comes from the database while it runs.
 */
import { hostname as machineName } from "node:os";
import { createResolver, readHosts } from "@postern/dns";
import { senderReversal } from "@postern/message";
import {
  existingSecretKey,
  requireDatabaseUrl,
  runProcess,
  senderSigning,
  StartError,
} from "@postern/process";
import { SECRET_KEY_BYTES } from "@postern/secrets";
import { openCertificate } from "@postern/tls";
import { compile } from "@postern/routing";
import {
  databaseProblem,
  flushDestination,
  followConfiguration,
  HEARTBEAT_MILLISECONDS,
  keepRegistered,
  KnownRecipients,
  newQueueId,
  openDatabase,
  openSpool,
  SenderRates,
  UnreadableConfiguration,
  weaknesses,
} from "@postern/store";
import { Admission } from "./admission.ts";
import { Authenticator } from "./authenticator.ts";
import { Callouts } from "./callouts.ts";
import type { Ingress } from "./gateway-state.ts";
import { type OpenListener, openListener } from "./listener.ts";
import { RecipientChecks } from "./recipient-checks.ts";
import { TlsAcceptor } from "./tls-acceptor.ts";

/** How often content is removed whose message never came. */
const CLEAN_UP_MILLISECONDS = 3_600_000;

function unreadable(error: unknown): never {
  const mendable = error instanceof UnreadableConfiguration;
  throw new StartError(`the database cannot be read: ${databaseProblem(error)}`, { mendable });
}

await runProcess("ingress", async ({ environment, log, onStop, onHangup, ready }) => {
  const database = openDatabase(requireDatabaseUrl(environment), {
    applicationName: "postern ingress",
    plansOnce: true,
  });
  onStop(() => database.close());

  const now = () => new Date();
  const resolver = createResolver();
  const recipientChecks = new RecipientChecks(
    new KnownRecipients(database),
    new Callouts({
      hostname: environment.hostname,
      resolver,
      hosts: readHosts(),
      now,
      random: Math.random,
      after: (milliseconds, run) => {
        const timer = setTimeout(run, milliseconds);
        return () => clearTimeout(timer);
      },
    }),
  );
  const key = await existingSecretKey(environment);
  const reverseOf = key && senderReversal(senderSigning(key), now);
  const certificate = await openCertificate(environment, log, now);
  onStop(() => certificate.stop());
  onHangup(() => void certificate.reload());
  const tls = new TlsAcceptor(certificate);
  // Without the gateway's key each ingress answers for unknown users with salts of its own.
  const secret = key ?? crypto.getRandomValues(new Uint8Array(SECRET_KEY_BYTES));
  const authenticator = new Authenticator({ secret, now });
  let ingress: Ingress | undefined;
  const spool = openSpool(database);
  const feed = await followConfiguration(database, {
    onConfiguration: (configuration) => {
      const snapshot = compile(configuration);
      for (const problem of snapshot.problems) {
        log.error("part of a rule does not compile and matches nothing", { ...problem });
      }
      if (ingress !== undefined) {
        ingress.snapshot = snapshot;
        log.info("configuration in force", { version: snapshot.version });
      } else {
        ingress = {
          hostname: environment.hostname,
          spool,
          log,
          admission: new Admission(),
          authenticator,
          tls,
          now,
          flush: (destination) => flushDestination(database, destination),
          newQueueId,
          resolver,
          recipientChecks,
          reverseOf,
          senderRates: new SenderRates(database),
          snapshot,
        };
      }
    },
    onError: (error) => log.warning("configuration not read", { error: databaseProblem(error) }),
  }).catch(unreadable);
  onStop(() => feed.stop());
  // It is this process that promises to keep what it accepts.
  const problems = await weaknesses(database).catch(unreadable);
  if (problems.length > 0) log.warning("Postgres cannot be relied on", { problems });

  const host = machineName();
  const cleaning = setInterval(() => {
    spool.removeOrphans().catch((error) =>
      log.warning("abandoned content not removed", { error: String(error) })
    );
  }, CLEAN_UP_MILLISECONDS);
  onStop(() => clearInterval(cleaning));
  const listeners: OpenListener[] = [];
  const registration = await keepRegistered(database, {
    description: {
      kind: "ingress",
      host,
      pid: Deno.pid,
      listening: environment.smtpListen.map(({ url }) => url),
    },
    everyMilliseconds: HEARTBEAT_MILLISECONDS,
    onError: (error) => log.warning("heartbeat failed", { error: databaseProblem(error) }),
  });
  onStop(() => registration.stop());
  const self = { host, processId: registration.id };
  for (const listener of environment.smtpListen) {
    listeners.push(await openListener(listener, ingress!, database, self));
  }
  onStop(async () => void await Promise.all(listeners.map((listener) => listener.stop())));
  ready({ listening: listeners.map(({ url }) => url) });
});
