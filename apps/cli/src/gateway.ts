/** The gateway that commands talk to: where it is, the token, and asking it. */
import { type Client, createClient, RequestFailed, type Result } from "@postern/client";
import type { Command } from "commander";
import { join } from "node:path";
import { CommandError, type Surroundings } from "./surroundings.ts";

/** Where the API listens unless told otherwise. */
export const DEFAULT_URL = "http://127.0.0.1:8025";

/** What a command does its work with. */
export interface Session extends Surroundings {
  readonly client: Client;
  /** Whether the answer is to be JSON, for programs. */
  readonly json: boolean;
  /** Prints for programs what the API answered, or for people what `text` makes of it. */
  show<Body>(body: Body, text: (body: Body) => string): void;
}

/** The options that every command takes. */
export interface GlobalOptions {
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
}

/** Opens a session as the options of the command say. */
export async function openSession(
  command: Command,
  surroundings: Surroundings,
): Promise<Session> {
  const options = command.optsWithGlobals<GlobalOptions>();
  const { environment } = surroundings;
  const url = options.url ?? (environment["POSTERN_URL"] || DEFAULT_URL);
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new CommandError(`${url} is no address of an API: expected http://HOST:PORT`);
  }
  const token = options.token ?? (environment["POSTERN_TOKEN"] || await keptToken(surroundings));
  const client = createClient({ url, ...(token !== undefined && { token }) });
  const json = options.json === true;
  return {
    ...surroundings,
    client,
    json,
    show: (body, text) =>
      surroundings.out(json ? `${JSON.stringify(body, null, 2)}\n` : text(body)),
  };
}

/** The token that a gateway on this machine keeps. */
async function keptToken({ environment, readText }: Surroundings): Promise<string | undefined> {
  const file = join(environment["POSTERN_DATA_DIR"] || ".postern", "admin-token");
  try {
    return (await readText(file)).trim();
  } catch {
    // Without a token the API says what is missing, and how it is given.
    return undefined;
  }
}

/** The body of a result; a failure ends the command. */
export function bodyOf<Body>(result: Result<Body>): Body {
  if (!result.ok) throw new RequestFailed(result.failure);
  return result.body;
}

/** Asks by hand for what the contract does not describe yet; answers the JSON body. */
export async function ask<Body>(
  { client }: Session,
  method: string,
  path: string,
  about: {
    readonly query?: Readonly<Record<string, string | undefined>>;
    readonly json?: unknown;
    readonly body?: string;
    readonly type?: string;
    readonly headers?: Readonly<Record<string, string>>;
  } = {},
): Promise<Body> {
  const given = Object.entries(about.query ?? {}).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(given as [string, string][]).toString();
  const body = about.json === undefined ? about.body : JSON.stringify(about.json);
  const response = bodyOf(
    await client.request(`${path}${search === "" ? "" : `?${search}`}`, {
      method,
      headers: {
        ...(body !== undefined && { "Content-Type": about.type ?? "application/json" }),
        ...about.headers,
      },
      ...(body !== undefined && { body }),
    }),
  );
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as Body;
}

/** All items of a list that the contract does not describe yet. */
export async function askAll<Item>(
  session: Session,
  path: string,
  query: Readonly<Record<string, string | undefined>> = {},
  most = Infinity,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  do {
    const limit = String(Math.min(1000, most - items.length));
    const page = await ask<{ items: Item[]; next: string | null }>(session, "GET", path, {
      query: { ...query, limit, ...(cursor !== undefined && { cursor }) },
    });
    items.push(...page.items);
    cursor = page.next ?? undefined;
  } while (cursor !== undefined && items.length < most);
  return items;
}
