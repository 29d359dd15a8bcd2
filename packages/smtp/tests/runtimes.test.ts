/**
 * The package loads and runs a dialogue in Node, Deno and workerd, and needs nothing that is not in
 * ECMAScript but TextEncoder and TextDecoder.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { dialogue } from "./runtimes.dialogue.ts";

const folder = new URL(".", import.meta.url).pathname;
const compiler = new URL("../../../node_modules/.bin/tsc", import.meta.url).pathname;
let built = "";

async function run(command: string, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const decoder = new TextDecoder();
  if (code !== 0) throw new Error(`${command}: ${decoder.decode(stdout)}${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

async function has(command: string): Promise<boolean> {
  try {
    await run(command, "--version");
    return true;
  } catch {
    return false;
  }
}

async function load(name: string): Promise<Record<string, unknown> | undefined> {
  try {
    return await import(name);
  } catch {
    return undefined;
  }
}

/** Whatever the globals are, the package may use these only. */
const globals = `
declare class TextEncoder { encode(text?: string): Uint8Array<ArrayBuffer>; }
declare class TextDecoder {
  constructor(label?: string, options?: { fatal?: boolean; ignoreBOM?: boolean });
  decode(bytes?: Uint8Array, options?: { stream?: boolean }): string;
}
`;

beforeAll(async () => {
  built = await Deno.makeTempDir({ prefix: "postern-runtimes-" });
  await Deno.writeTextFile(`${built}/globals.d.ts`, globals);
  await Deno.writeTextFile(`${built}/package.json`, '{"type":"module"}');
  const settings = {
    compilerOptions: {
      target: "ES2024",
      lib: ["ES2024", "ESNext.Array"],
      types: [],
      module: "NodeNext",
      moduleResolution: "NodeNext",
      rewriteRelativeImportExtensions: true,
      strict: true,
      exactOptionalPropertyTypes: true,
      noUncheckedIndexedAccess: true,
      rootDir: new URL("..", import.meta.url).pathname,
      outDir: `${built}/out`,
    },
    files: [`${folder}runtimes.dialogue.ts`, `${built}/globals.d.ts`],
  };
  await Deno.writeTextFile(`${built}/tsconfig.json`, JSON.stringify(settings));
  // Fails if the package uses a global of any one runtime.
  await run(compiler, "-p", `${built}/tsconfig.json`);
});

afterAll(() => Deno.remove(built, { recursive: true }));

test("the dialogue is a dialogue", () => {
  expect(dialogue()).toContain("\r\n..dot\r\n.\r\n= outcome\r\nc@d.example accepted\r\n");
  expect(dialogue()).toMatch(/accepted \{"reversePath":"".*"jürgen@d\.example".*\r\n\.dot\r\n$/s);
});

test("the package imports nothing", async () => {
  const source = new URL("../src/", import.meta.url);
  const files = async (directory: URL): Promise<URL[]> => {
    const found: URL[] = [];
    for await (const { isDirectory, name } of Deno.readDir(directory)) {
      if (isDirectory) found.push(...await files(new URL(`${name}/`, directory)));
      else if (name.endsWith(".ts") && !name.endsWith(".test.ts")) {
        found.push(new URL(name, directory));
      }
    }
    return found;
  };
  for (const file of await files(source)) {
    const text = await Deno.readTextFile(file);
    for (const [, name] of text.matchAll(/^(?:import|export)\b[^;]*?\bfrom\s+"([^"]+)"/gm)) {
      expect(name, file.pathname).toMatch(/^\.\.?\//);
    }
    expect(text, file.pathname).not.toMatch(/\bimport\(|\brequire\(/);
  }
});

describe("the compiled package", () => {
  const program = () =>
    `import { dialogue } from "${built}/out/tests/runtimes.dialogue.js"; console.log(JSON.stringify(dialogue()));`;

  test("in Node", async (context) => {
    if (!await has("node")) return context.skip("node is not installed");
    const output = await run("node", "--input-type=module", "-e", program());
    expect(JSON.parse(output)).toBe(dialogue());
  });

  test("in Deno, with no permission", async () => {
    await Deno.writeTextFile(`${built}/main.js`, program());
    const output = await run(Deno.execPath(), "run", "--no-config", `${built}/main.js`);
    expect(JSON.parse(output)).toBe(dialogue());
  });

  test("in workerd", async (context) => {
    const miniflare = await load("miniflare");
    if (miniflare === undefined) return context.skip("miniflare is not installed");
    const { Miniflare } = miniflare as {
      Miniflare: new (options: unknown) => {
        dispatchFetch(url: string): Promise<{ text(): Promise<string> }>;
        dispose(): Promise<void>;
      };
    };
    await Deno.writeTextFile(
      `${built}/out/worker.js`,
      `import { dialogue } from "./tests/runtimes.dialogue.js";
       export default { fetch: () => new Response(dialogue()) };`,
    );
    const workerd = new Miniflare({
      modules: true,
      modulesRoot: `${built}/out`,
      scriptPath: `${built}/out/worker.js`,
      modulesRules: [{ type: "ESModule", include: ["**/*.js"] }],
      compatibilityDate: "2026-01-01",
    });
    try {
      const response = await workerd.dispatchFetch("http://localhost/");
      expect(await response.text()).toBe(dialogue());
    } finally {
      await workerd.dispose();
    }
  });
});
