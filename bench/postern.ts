/**
 * Postern as it runs in production: the embedded Postgres with fsync on, one ingress, one worker
 * and the API, each a process of its own with its log in a file. Worker and ingress can be stopped
 * and started apart, for backlogs.
 */
import { startPostgres } from "@postern/postgres";
import { migrate } from "@postern/store";
import { fileURLToPath } from "node:url";
import { freePort, type MailServer } from "./mail-server.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const TOKEN = "bench";

/** A part that runs. */
interface Part {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Postern with what only the benchmark of Postern itself needs. */
export interface Postern extends MailServer {
  readonly ingressPid: number;
  readonly workerPid: number;
  readonly databaseUrl: string;
  /** Configures it: `PUT` of a resource. */
  put(path: string, body: unknown): Promise<void>;
  stopWorker(): Promise<void>;
  startWorker(): Promise<void>;
  /** Ends ingress and worker, and starts them anew. */
  restart(): Promise<void>;
}

/**
 * Starts it; `folder` must be absolute and must not exist. With `profiles`, each process writes a CPU
 * profile into that folder when it ends.
 */
export async function startPostern(
  folder: string,
  sinkPort: number,
  profiles?: string,
): Promise<Postern> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o755 });
  const database = await startPostgres({ dataDir: folder });
  if (!database.ok) throw new Error(database.problem);
  const parts = new Map<string, Part>();
  const stop = async () => {
    for (const [name, part] of [...parts].reverse()) {
      parts.delete(name);
      await part.stop();
    }
    await database.stop();
    await Deno.remove(folder, { recursive: true });
  };
  try {
    await migrate(database.url);
    const [smtp, api] = [freePort(), freePort()];
    const environment = {
      DATABASE_URL: database.socketUrl ?? database.url,
      POSTERN_DATA_DIR: folder,
      POSTERN_HOSTNAME: "postern.bench.test",
      POSTERN_SMTP_LISTEN: `smtp://127.0.0.1:${smtp}`,
      POSTERN_ADMIN_LISTEN: `127.0.0.1:${api}`,
      POSTERN_ADMIN_TOKEN: TOKEN,
      POSTERN_LOG_FORMAT: "json",
    };
    const start = async (name: string) => {
      parts.set(name, await startPart(name, environment, `${folder}/${name}.log`, profiles));
    };
    await start("admin");
    const put = async (path: string, body: unknown) => {
      const response = await fetch(`http://127.0.0.1:${api}${path}`, {
        method: "PUT",
        headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      if (!response.ok) throw new Error(`PUT ${path}: ${await response.text()}`);
      await response.body?.cancel();
    };
    // The load keeps its sessions for as long as it lasts.
    await put("/v1/settings", { smtp: { messagesPerSession: 1_000_000 } });
    await put("/v1/clients/bench", { networks: ["127.0.0.0/8"] });
    await put("/v1/relays/default", {
      kind: "smtp",
      hosts: [{ host: "127.0.0.1", port: sinkPort }],
    });
    await start("ingress");
    await start("worker");
    const end = async (name: string) => {
      await parts.get(name)!.stop();
      parts.delete(name);
    };
    return {
      name: "Postern",
      port: smtp,
      roots: () => [postmaster(folder), ...[...parts.values()].map(({ pid }) => pid)],
      get ingressPid() {
        return parts.get("ingress")!.pid;
      },
      get workerPid() {
        return parts.get("worker")!.pid;
      },
      databaseUrl: database.url,
      put,
      stopWorker: () => end("worker"),
      startWorker: () => start("worker"),
      restart: async () => {
        await Promise.all([end("ingress"), end("worker")]);
        await start("ingress");
        await start("worker");
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The first process of the embedded Postgres. Run by root, it may live in a folder of its own. */
function postmaster(folder: string): number {
  let cluster = `${folder}/postgres`;
  try {
    cluster = Deno.readTextFileSync(`${folder}/postgres-folder`).trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return Number(Deno.readTextFileSync(`${cluster}/data/postmaster.pid`).split("\n")[0]);
}

/** Starts a process and waits for the line that says it is ready. */
async function startPart(
  name: string,
  environment: Readonly<Record<string, string>>,
  log: string,
  profiles: string | undefined,
): Promise<Part> {
  const profiling = profiles === undefined ? [] : [
    "--cpu-prof",
    `--cpu-prof-dir=${profiles}`,
    `--cpu-prof-name=${name}-${Date.now()}.cpuprofile`,
  ];
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--v8-flags=--max-semi-space-size=4",
      "-A",
      ...profiling,
      `apps/${name}/src/main.ts`,
    ],
    cwd: root,
    // Supervised: it ends by itself when this process is gone and its standard input with it.
    env: { ...environment, POSTERN_SUPERVISED: "1" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const file = await Deno.open(log, { create: true, append: true });
  const logged = child.stderr.pipeTo(file.writable).catch(() => {});
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes('{"ready":true')) {
    const { value, done } = await reader.read();
    if (done) {
      await child.status;
      await logged;
      throw new Error(`${name} did not start:\n${await Deno.readTextFile(log)}`);
    }
    said += value;
  }
  const drained = (async () => {
    while (!(await reader.read()).done);
  })();
  return {
    pid: child.pid,
    stop: async () => {
      const killer = setTimeout(() => signal(child, "SIGKILL"), 30_000);
      signal(child, "SIGTERM");
      await child.status;
      clearTimeout(killer);
      await child.stdin.close().catch(() => {});
      await Promise.all([logged, drained]);
    },
  };
}

function signal(child: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    child.kill(name);
  } catch {
    // It is gone already, which is what was wanted.
  }
}
