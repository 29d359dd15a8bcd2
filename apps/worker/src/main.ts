/**
 * NAME
 *   worker – the delivery worker of Postern
 *
 * WHAT IT DOES
 *   Claims deliveries that are due from the queue in Postgres, delivers each to its next hop by SMTP
 *   (RFC 5321), one copy for all recipients of a message at a destination, and records what became
 *   of each recipient: delivered, deferred until when, or bounced with a report to the reverse-path.
 *   Any number may run, on any machines; none delivers what another has in hand.
 *
 * SECURITY
 *   Opens connections to next hops and to Postgres, listens nowhere, writes no file, runs no program.
 *
 * DIAGNOSTICS
 *   Each recipient's outcome is logged and kept as an event. Exit code 1: it could not start, one
 *   sentence on stderr says why. SIGTERM: claims no more, finishes what it began, gives the rest
 *   back, exits 0. Killed: what it had in hand comes free within a minute.
 *
 * CONFIGURATION
 *   DATABASE_URL (needed), POSTERN_HOSTNAME, POSTERN_LOG_LEVEL, POSTERN_LOG_FORMAT, and for relays
 *   with credentials, signed requests or sender rewriting POSTERN_SECRET_KEY or the file secret-key
 *   in POSTERN_DATA_DIR; everything else comes from the database while it runs.
 */
import { hostname as machineName } from "node:os";
import { createResolver, readHosts } from "@postern/dns";
import { existingSecretKey, requireDatabaseUrl, runProcess, StartError } from "@postern/process";
import { compile, type Snapshot } from "@postern/routing";
import {
  databaseProblem,
  followConfiguration,
  HEARTBEAT_MILLISECONDS,
  keepRegistered,
  newQueueId,
  openDatabase,
  openQueue,
  UnreadableConfiguration,
} from "@postern/store";
import { AccessTokens } from "./access-tokens.ts";
import { Claimer } from "./claimer.ts";
import { HoldBack, processorTime } from "./hold-back.ts";
import { HostMemory } from "./host-memory.ts";
import { Recorder } from "./recorder.ts";
import { secretsUnder } from "./secrets.ts";
import { startUpkeep } from "./upkeep.ts";

await runProcess("worker", async ({ environment, log, onStop, ready }) => {
  const database = openDatabase(requireDatabaseUrl(environment), {
    applicationName: "postern worker",
    plansOnce: true,
  });
  onStop(() => database.close());

  let snapshot: Snapshot | undefined;
  let onSnapshot = () => {};
  const feed = await followConfiguration(database, {
    onConfiguration: (configuration) => {
      snapshot = compile(configuration);
      log.info("configuration in force", { version: snapshot.version });
      onSnapshot();
    },
    onError: (error) => log.warning("configuration not read", { error: databaseProblem(error) }),
  }).catch((error) => {
    const mendable = error instanceof UnreadableConfiguration;
    throw new StartError(`the database cannot be read: ${databaseProblem(error)}`, { mendable });
  });
  onStop(() => feed.stop());

  const onError = (error: unknown) =>
    log.warning("heartbeat failed", { error: databaseProblem(error) });
  const registration = await keepRegistered(database, {
    description: { kind: "worker", host: machineName(), pid: Deno.pid },
    everyMilliseconds: HEARTBEAT_MILLISECONDS,
    onError,
    onLost: () => log.warning("this worker was taken for dead; its claims are others' now"),
  });
  onStop(() => registration.stop());

  const queue = openQueue(database, {
    limitsOf: ({ relay: name }) => {
      const relay = snapshot?.relays.get(name);
      return relay !== undefined && "limits" in relay ? relay.limits : undefined;
    },
  });
  const now = () => new Date();
  const key = await existingSecretKey(environment);
  if (key === undefined) log.info("no secret key: relays with credentials will have to wait");
  const { openSecret, signSender } = await secretsUnder(key);
  const clock = () => performance.now();
  const holdBack = new HoldBack({ now: clock, processorTime });
  const claimer = new Claimer(
    {
      hostname: environment.hostname,
      queue,
      recorder: new Recorder(queue, log),
      lease: registration,
      snapshot: () => snapshot!,
      resolver: createResolver(),
      hosts: readHosts(),
      log,
      now,
      random: Math.random,
      newQueueId,
      memory: new HostMemory(now),
      openSecret,
      tokens: new AccessTokens({ now, openSecret }),
      signSender,
    },
    registration,
    holdBack,
    clock,
  );
  onSnapshot = () => {
    queue.limitsChanged();
    claimer.wake();
  };
  const upkeep = startUpkeep(database, { retention: () => snapshot!.settings.retention, log });
  onStop(() => upkeep.stop());
  const work = await queue.onWork(claimer.wake, holdBack.accepted);
  const running = claimer.run();
  onStop(async () => {
    claimer.stop();
    await running;
    await work.stop();
  });
  ready({ listening: [] });
});
