/** The API over a database of its own, for tests. */
import { importSecretKey } from "@postern/secrets";
import { openDatabase, ping } from "@postern/store";
import type { Database } from "@postern/store";
import { createTestDatabase } from "../../../../tests/database.ts";
import { createAdminApp } from "../app.ts";
import { openStores } from "../stores.ts";

/** The token of the API under test. */
export const TOKEN = "the-token-of-the-tests";

/** The key of the API under test. */
export const SECRET_KEY = new Uint8Array(32).fill(42);

/** A response with its body read. */
export interface Answer<Body> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

/** A problem document as it arrives. */
export interface ShownProblem {
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly errors?: readonly { pointer?: string; parameter?: string; detail: string }[];
}

/** An API to ask. */
export interface TestApi {
  readonly database: Database;
  /** What was reported as nobody's request's fault. */
  readonly failures: unknown[];
  /** Asks with the token; an object becomes a JSON body, a text is sent as it stands. */
  ask<Body = ShownProblem>(
    method: string,
    path: string,
    about?: { readonly body?: unknown; readonly headers?: Record<string, string> },
  ): Promise<Answer<Body>>;
  /** Sends a request as it is; `address` is where it seems to come from. */
  readonly request: (
    request: string | Request,
    init?: RequestInit,
    address?: string,
  ) => Promise<Response>;
  close(): Promise<void>;
}

/** Opens an API; `url` is that of a database of the test's own, which is made when none is given. */
export async function openTestApi(url?: string, now?: () => number): Promise<TestApi> {
  const created = url === undefined ? await createTestDatabase() : undefined;
  const database = openDatabase(url ?? created!.url, { applicationName: "admin test" });
  const failures: unknown[] = [];
  const app = createAdminApp({
    ...openStores(database),
    hostname: "gateway.test",
    ping: () => ping(database),
    token: TOKEN,
    ...(now && { now }),
    secretKey: await importSecretKey(SECRET_KEY),
    onError: (error) => failures.push(error),
  });
  const request: TestApi["request"] = async (path, init, address = "192.0.2.1") =>
    await app.request(path, init, { address });
  return {
    database,
    failures,
    request,
    async ask<Body>(
      method: string,
      path: string,
      { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
    ) {
      const response = await request(path, {
        method,
        headers: {
          Authorization: `Bearer ${TOKEN}`,
          ...(body !== undefined && { "Content-Type": "application/json" }),
          ...headers,
        },
        ...(body !== undefined && {
          body: typeof body === "string" ? body : JSON.stringify(body),
        }),
      });
      const text = await response.text();
      return {
        status: response.status,
        headers: response.headers,
        body: (text === "" ? undefined : JSON.parse(text)) as Body,
      };
    },
    async close() {
      await database.close();
      await created?.drop();
    },
  };
}
