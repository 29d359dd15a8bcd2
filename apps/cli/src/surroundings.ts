/** What a command works with: files, output, environment; handed in, so that tests see it all. */

/** @see module */
export interface Surroundings {
  /** Environment variables. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The columns of the terminal; undefined when output goes elsewhere, and is not cut. */
  readonly columns: number | undefined;
  out(text: string): void;
  /** Bytes as they are, for content. */
  outBytes(bytes: Uint8Array): void | Promise<void>;
  error(text: string): void;
  /** A file's text; `-` is standard input. Throws where it cannot be read. */
  readText(file: string): Promise<string>;
  writeText(file: string, text: string): Promise<void>;
  /** Makes a directory; one that is there already will do. */
  makeDirectory(directory: string): Promise<void>;
}

/** Ends a command with a sentence for people and exit code 1. */
export class CommandError extends Error {}

/** Ends a command that was called wrongly, with exit code 2. */
export class UsageError extends Error {}
