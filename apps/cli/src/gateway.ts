/** The gateway that commands talk to: where it is, the token, and asking it. */
import {
  type ApiResponse,
  type Client,
  createClient,
  type ItemIn,
  RequestFailed,
  type Result,
} from "@postern/client";
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

/** So many items of a list, page after page; all when no number is given. */
export async function itemsOf<R extends ApiResponse>(
  { client }: Session,
  ask: (page: { readonly limit: string; readonly cursor?: string }) => Promise<R>,
  most = Infinity,
): Promise<ItemIn<R>[]> {
  const limit = String(Math.min(1000, most));
  const pages = client.pages((cursor) => ask({ limit, ...(cursor !== undefined && { cursor }) }));
  const items: ItemIn<R>[] = [];
  for await (const item of pages) {
    items.push(item);
    if (items.length >= most) break;
  }
  return items;
}
