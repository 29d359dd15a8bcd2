/** The command line in this process, against the API over a real database of its own. */
import { openTestApi, type TestApi, TOKEN } from "../../apps/admin/src/testing/api.ts";
import { run } from "../../apps/cli/src/program.ts";

/** What a command line runs among. */
export interface Given {
  /** The columns of the terminal; not a terminal when absent. */
  readonly columns?: number;
  /** The files there are, by name. */
  readonly files?: Readonly<Record<string, string>>;
  readonly token?: string;
}

/** What became of a command line. */
export interface Said {
  readonly code: number;
  readonly out: string;
  /** Content, as bytes. */
  readonly bytes: Uint8Array;
  readonly error: string;
  /** The files it wrote, by name. */
  readonly written: Readonly<Record<string, string>>;
}

/** @see openCommandLine */
export interface CommandLine {
  readonly api: TestApi;
  /** Where the API listens. */
  readonly url: string;
  postern(args: readonly string[], given?: Given): Promise<Said>;
  close(): Promise<void>;
}

/** Opens an API that listens, over a database of its own or this one, and a command line for it. */
export async function openCommandLine(databaseUrl?: string): Promise<CommandLine> {
  const api = await openTestApi(databaseUrl);
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname, search } = new URL(request.url);
    return api.request(pathname + search, request);
  });
  const url = `http://127.0.0.1:${server.addr.port}`;
  return {
    api,
    url,
    async postern(args, { columns, files = {}, token = TOKEN } = {}) {
      const said = { out: "", error: "", written: {} as Record<string, string> };
      const pieces: Uint8Array[] = [];
      const decoder = new TextDecoder();
      const code = await run(args, {
        environment: { POSTERN_URL: url, POSTERN_TOKEN: token },
        columns,
        out: (text) => void (said.out += text),
        outBytes: (piece) => {
          pieces.push(piece);
          said.out += decoder.decode(piece, { stream: true });
        },
        error: (text) => void (said.error += text),
        readText: (file) =>
          file in files
            ? Promise.resolve(files[file]!)
            : Promise.reject(new Error(`no such file: ${file}`)),
        writeText: (file, text) => Promise.resolve(void (said.written[file] = text)),
        makeDirectory: () => Promise.resolve(),
      });
      return { code, ...said, bytes: new Uint8Array(pieces.flatMap((piece) => [...piece])) };
    },
    async close() {
      await server.shutdown();
      await api.close();
    },
  };
}
