/**
 * The token of an API that runs by itself: kept in the data dir in a file that only its owner can
 * read. The gateway hands its own token to the API that it starts. Part of the entry, not of the app.
 */
import { Buffer } from "node:buffer";
import { join } from "node:path";

/** The token, the file that holds it, and whether it was made just now. */
export interface AdminToken {
  readonly token: string;
  readonly file: string;
  readonly created: boolean;
}

/** Reads the token of the data dir; makes one when there is none. */
export async function adminToken(dataDir: string): Promise<AdminToken> {
  const file = join(dataDir, "admin-token");
  const kept = await readToken(file);
  if (kept !== undefined) return { token: kept, file, created: false };
  const token = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");
  await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
  const draft = `${file}.${crypto.randomUUID()}`;
  await Deno.writeTextFile(draft, `${token}\n`, { mode: 0o600, createNew: true });
  try {
    // Unlike a rename, a link never replaces: of two first starts at once, one makes the token.
    await Deno.link(draft, file);
    return { token, file, created: true };
  } catch (error) {
    const others = error instanceof Deno.errors.AlreadyExists ? await readToken(file) : undefined;
    if (others === undefined) throw error;
    return { token: others, file, created: false };
  } finally {
    await Deno.remove(draft);
  }
}

async function readToken(file: string): Promise<string | undefined> {
  try {
    const token = (await Deno.readTextFile(file)).trim();
    if (token === "") throw new Error(`${file} is empty: delete it to have a new token made`);
    return token;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
