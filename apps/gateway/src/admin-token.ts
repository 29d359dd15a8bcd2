/**
 * The bootstrap token of the REST API: generated once, kept in the data dir in a file that only
 * its owner can read. Knows nothing of the API that it opens.
 */
import { Buffer } from "node:buffer";
import { join } from "node:path";

/** The token, and the file that holds it (undefined when the environment gave the token). */
export interface AdminToken {
  readonly token: string;
  readonly file: string | undefined;
}

/** Takes the token that is given, or that of the data dir; makes one at the first start. */
export async function adminToken(given: string | undefined, dataDir: string): Promise<AdminToken> {
  if (given !== undefined) return { token: given, file: undefined };
  const file = join(dataDir, "admin-token");
  try {
    const token = (await Deno.readTextFile(file)).trim();
    if (token !== "") return { token, file };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const token = Buffer.from(bytes).toString("base64url");
  await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
  // Written beside and renamed: a crash leaves the whole file or none.
  const draft = `${file}.new`;
  await Deno.remove(draft).catch((error: unknown) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  await Deno.writeTextFile(draft, `${token}\n`, { mode: 0o600, createNew: true });
  await Deno.rename(draft, file);
  return { token, file };
}
