/**
 * The API as a worker of workerd, which knows neither Deno nor files. With DATABASE_URL it works on
 * Postgres; a connection there belongs to one request. Without, on a configuration in memory.
 */
import { type Configuration, definitionsOf, judge } from "@postern/config";
import { problemsOf } from "@postern/routing";
import { importSecretKey } from "@postern/secrets";
import { type ConfigurationStore, openDatabase } from "@postern/store";
import { createAdminApp } from "../app.ts";
import { openStores, type Stores } from "../stores.ts";

interface Bindings {
  readonly TOKEN: string;
  readonly DATABASE_URL?: string;
}

let configuration = { version: 1, ...definitionsOf({}) } as Configuration;

/** As much of a store as the operations on resources need. */
const inMemory: ConfigurationStore = {
  currentVersion: () => Promise.resolve(configuration.version),
  load: () => Promise.resolve(configuration),
  loadToChange: () => Promise.resolve(configuration),
  get: (kind, name) => {
    const body = configuration[kind].get(name);
    const { version } = configuration;
    return Promise.resolve(body && { kind, name, body, version }) as never;
  },
  list: (kind, { limit, after = "" }) => {
    const { version } = configuration;
    const found = [...configuration[kind]].filter(([name]) => name > after).sort().slice(0, limit);
    return Promise.resolve(found.map(([name, body]) => ({ kind, name, body, version }))) as never;
  },
  apply: (wish, _by, { dryRun = false } = {}) => {
    const changes = typeof wish === "function" ? wish(configuration) : wish;
    const verdict = judge(configuration, changes, problemsOf);
    if ("objection" in verdict) return Promise.resolve(verdict.objection);
    const created = changes.map(({ kind, name }) => !configuration[kind].has(name));
    const version = configuration.version + (dryRun || changes.length === 0 ? 0 : 1);
    if (!dryRun) configuration = { ...verdict.candidate, version };
    return Promise.resolve({ status: "applied", version, created });
  },
};

const absent = new Proxy({}, {
  get: () => () => Promise.reject(new Error("not in memory")),
}) as never;
const notInMemory: Stores = {
  configuration: absent,
  history: absent,
  messages: absent,
  recipientLists: absent,
  knownRecipients: absent,
  queue: absent,
  tokens: absent,
  audit: absent,
  idempotencyKeys: absent,
};

export default {
  async fetch(request: Request, { TOKEN, DATABASE_URL }: Bindings): Promise<Response> {
    const database = DATABASE_URL === undefined
      ? undefined
      : openDatabase(DATABASE_URL, { applicationName: "edge", connections: 1 });
    const stores: Stores = database === undefined
      ? { ...notInMemory, configuration: inMemory }
      : openStores(database);
    const failures: string[] = [];
    const app = createAdminApp({
      ...stores,
      hostname: "gateway.example.com",
      ping: () => Promise.resolve(),
      token: TOKEN,
      secretKey: await importSecretKey(new Uint8Array(32).fill(5)),
      onError: (error) => failures.push(String((error as Error).stack ?? error)),
    });
    const response = await app.fetch(request, {});
    const text = await response.text();
    await database?.close();
    return new Response(failures.length > 0 ? failures.join("\n") : text, response);
  },
};
