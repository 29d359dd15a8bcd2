/**
 * The two secrets that a gateway makes for itself: the bootstrap token of the REST API, and the key
 * that seals the secrets of the configuration. The environment gives them, else a file of the data
 * dir that only its owner can read, made at the first start.
 */
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { type Environment, SECRET_KEY_BYTES } from "./environment.ts";
import { StartError } from "./run.ts";

/** The token, the file that holds it, if it does, and whether it was made just now. */
export interface AdminToken {
  readonly token: string;
  readonly file: string | undefined;
  readonly created: boolean;
}

/** The bootstrap token of the API. Throws StartError when its file cannot be used. */
export async function adminToken(
  { adminToken: given, dataDir }: Pick<Environment, "adminToken" | "dataDir">,
): Promise<AdminToken> {
  if (given !== undefined) return { token: given, file: undefined, created: false };
  const { text, file, created } = await kept(dataDir, "admin-token", () => random("base64url"));
  return { token: text, file, created };
}

/**
 * The key that seals the secrets of the configuration; made when there is none.
 * Throws StartError when its file cannot be used.
 */
export async function secretKey(
  { secretKey: given, dataDir }: Pick<Environment, "secretKey" | "dataDir">,
): Promise<Uint8Array<ArrayBuffer>> {
  if (given !== undefined) return given;
  const { text, file } = await kept(dataDir, "secret-key", () => random("base64"));
  return bytesOf(text, file);
}

/**
 * The key that seals the secrets of the configuration, for a process that only opens them;
 * undefined when neither the environment nor the data dir has it, or the file may not be read.
 */
export async function existingSecretKey(
  { secretKey: given, dataDir }: Pick<Environment, "secretKey" | "dataDir">,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  if (given !== undefined) return given;
  const file = join(dataDir, "secret-key");
  try {
    const text = await read(file);
    return text === undefined ? undefined : bytesOf(text, file);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    if (error instanceof Deno.errors.PermissionDenied) return undefined;
    throw error;
  }
}

function random(encoding: "base64" | "base64url"): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString(encoding);
}

function bytesOf(text: string, file: string): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  if (bytes.length === SECRET_KEY_BYTES) return bytes;
  throw new StartError(
    `${file} does not hold a key of ${SECRET_KEY_BYTES} bytes in Base64: put the one back that was ` +
      `there, or delete the file and set the secrets of the configuration anew`,
  );
}

/**
 * The text of a file in the data dir that only its owner can read, made when there is none: by one
 * of those who start at once. Throws StartError when the file cannot be used.
 */
export async function kept(
  dataDir: string,
  name: string,
  make: () => string | Promise<string>,
): Promise<{ readonly text: string; readonly file: string; readonly created: boolean }> {
  const file = join(dataDir, name);
  try {
    const found = await read(file);
    if (found !== undefined) return { text: found, file, created: false };
    const text = await make();
    await Deno.mkdir(dataDir, { recursive: true, mode: 0o700 });
    const draft = `${file}.${crypto.randomUUID()}`;
    await writeDurably(draft, `${text}\n`);
    try {
      // Unlike a rename, a link never replaces: of two first starts at once, one makes it.
      await Deno.link(draft, file);
      return { text, file, created: true };
    } catch (error) {
      const others = error instanceof Deno.errors.AlreadyExists ? await read(file) : undefined;
      if (others === undefined) throw error;
      return { text: others, file, created: false };
    } finally {
      await Deno.remove(draft);
    }
  } catch (error) {
    if (error instanceof StartError || !(error instanceof Error)) throw error;
    throw new StartError(
      `the file ${name} in POSTERN_DATA_DIR ${dataDir} cannot be used: ` +
        error.message,
    );
  }
}

/** On the disk before it is linked: a key that sealed something must survive a power cut. */
async function writeDurably(path: string, text: string): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true, mode: 0o600 });
  await file.write(new TextEncoder().encode(text));
  await file.sync();
}

async function read(file: string): Promise<string | undefined> {
  try {
    const text = (await Deno.readTextFile(file)).trim();
    if (text === "") throw new StartError(`${file} is empty: delete it to have a new one made`);
    return text;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
