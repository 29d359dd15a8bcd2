/**
 * A whole gateway for a test file: a database of its own, the REST API, and as many ingresses and
 * workers as wanted, all as real processes.
 */
import { createTestDatabase, type TestDatabase } from "../database.ts";
import { eventually } from "./eventually.ts";
import { Processes, type RunningProcess } from "./processes.ts";

const TOKEN = "end-to-end";

/** The key that all processes share, so that they read each other's sealed secrets. */
const SECRET_KEY = btoa("end-to-end".padEnd(32, "."));

/** A message as the API shows it. */
export interface ShownMessage {
  readonly id: string;
  readonly reversePath: string;
  readonly size: number;
  readonly recipients: readonly {
    readonly forwardPath: string;
    readonly state: string;
    readonly lastReply: string | null;
  }[];
  readonly events: readonly {
    readonly at: string;
    readonly kind: string;
    readonly recipient?: string;
    readonly reply?: string;
  }[];
}

/** Make one at the top of a test file; `start` belongs in beforeAll, `stop` in afterAll. */
export class Gateway {
  readonly processes = new Processes();
  /** Holds the certificate that the ingresses make for themselves. */
  readonly dataDir = Deno.makeTempDirSync({ prefix: "postern-data-" });
  #database: TestDatabase | undefined;
  #api = "";

  /** Makes the database, starts the API and puts the configuration: `{"/v1/relays/a": {…}}`. */
  async start(configuration: Readonly<Record<string, unknown>>): Promise<void> {
    this.#database = await createTestDatabase();
    const admin = await this.processes.start("admin", {
      DATABASE_URL: this.databaseUrl,
      POSTERN_ADMIN_LISTEN: "127.0.0.1:0",
      POSTERN_ADMIN_TOKEN: TOKEN,
      POSTERN_SECRET_KEY: SECRET_KEY,
    });
    const [url] = admin.listening;
    if (url === undefined) throw new Error("the API does not say where it listens");
    this.#api = (url.includes("://") ? url : `http://${url}`).replace(/\/$/, "");
    for (const [path, resource] of Object.entries(configuration)) await this.put(path, resource);
  }

  async stop(): Promise<void> {
    try {
      await this.processes.stop();
    } finally {
      await this.#database?.drop();
      await Deno.remove(this.dataDir, { recursive: true });
    }
  }

  get databaseUrl(): string {
    if (this.#database === undefined) throw new Error("the gateway is not started");
    return this.#database.url;
  }

  startWorker(wrapper: readonly string[] = []): Promise<RunningProcess> {
    const environment = { DATABASE_URL: this.databaseUrl, POSTERN_SECRET_KEY: SECRET_KEY };
    return this.processes.start("worker", environment, wrapper);
  }

  /** Starts an ingress; answers it with its ports, and with the first of them. */
  async startIngress(
    listen = "smtp://127.0.0.1:0",
    environment: Readonly<Record<string, string>> = {},
  ): Promise<RunningProcess & { readonly port: number; readonly ports: readonly number[] }> {
    const ingress = await this.processes.start("ingress", {
      DATABASE_URL: this.databaseUrl,
      POSTERN_SECRET_KEY: SECRET_KEY,
      POSTERN_SMTP_LISTEN: listen,
      POSTERN_DATA_DIR: this.dataDir,
      ...environment,
    });
    const ports = ingress.listening.map((url) => Number(/:(\d+)$/.exec(url)?.[1]));
    return { ...ingress, port: ports[0] ?? 0, ports };
  }

  /** A request to the API. */
  async request(method: string, path: string, body?: unknown): Promise<Response> {
    return await fetch(`${this.#api}${path}`, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  /** Puts a resource, which must succeed. */
  async put(path: string, resource: unknown): Promise<void> {
    const response = await this.request("PUT", path, resource);
    const text = await response.text();
    if (!response.ok) throw new Error(`PUT ${path}: ${response.status} ${text}`);
  }

  /** Reads what must be there, as JSON. */
  async get<T>(path: string): Promise<T> {
    const response = await this.request("GET", path);
    if (response.ok) return await response.json() as T;
    throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
  }

  /** The content of a message, byte by byte. */
  async raw(id: string): Promise<Uint8Array> {
    const response = await this.request("GET", `/v1/messages/${id}/raw`);
    if (!response.ok) throw new Error(`raw ${id}: ${response.status} ${await response.text()}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** A message, as soon as each recipient has come to one of these states. */
  async message(id: string, ...states: readonly string[]): Promise<ShownMessage> {
    let last: ShownMessage | undefined;
    try {
      return await eventually(`message ${id} is ${states.join(" or ")}`, async () => {
        last = await this.get<ShownMessage>(`/v1/messages/${id}`);
        return last.recipients.every(({ state }) => states.includes(state)) && last;
      });
    } catch (error) {
      throw new Error(`the message is ${JSON.stringify(last, undefined, 2)}`, { cause: error });
    }
  }
}
