/**
 * The import rules of the repository, read off the sources: who may import whom, who may speak SQL,
 * who may open a socket. Sources are laid out by `deno fmt`, so an import begins its line and a
 * line of a comment begins with its sign; that is all the parsing there is.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Packages without I/O, and all that they may import from outside themselves. */
const PURE: Readonly<Record<string, readonly string[]>> = {
  "packages/smtp": [],
  "packages/message": [],
  "packages/config": ["zod"],
  // The contract between the admin app and its clients: what both know, and neither's code.
  "packages/api": ["@postern/config", "zod"],
  "packages/routing": ["@postern/config", "ipaddr.js", "re2js"],
};

/** The one package that speaks SQL, and what it does it with. */
const SQL_PACKAGE = "packages/store";
const SQL_MODULES = ["postgres", "drizzle-orm"];

/** Who may open sockets: the adapters. */
const ADAPTERS = [
  "apps/admin",
  "apps/gateway",
  "apps/ingress",
  "apps/worker",
  "packages/dns",
  "packages/postgres",
  // To Postgres, for the driver.
  "packages/store",
];
const SOCKET_MODULES = ["net", "tls", "dgram", "http", "https", "http2"].map((m) => `node:${m}`);
const SOCKET_CALL = /\bDeno\.(listen\w*|connect\w*|serve|startTls)\b/;
/** What of node:net opens nothing. */
const ADDRESS_TESTS = ["isIP", "isIPv4", "isIPv6", "BlockList"];

/** What is not handed in, and so answers differently from one time to the next; and waiting. */
const IMPURE = new RegExp([
  "\\b(Deno|process)\\.",
  "\\b(setTimeout|setInterval|queueMicrotask|fetch)\\(",
  "\\bDate\\.now\\(|\\bnew Date\\(\\)|\\bMath\\.random\\(",
  "\\b(async|await|Promise)\\b",
].join("|"));

const LONGEST_FILE = 400;

interface Import {
  readonly specifier: string;
  /** What stands between `import` and `from`. */
  readonly clause: string;
}

interface Source {
  /** From the root: `packages/smtp/src/reply.ts`. */
  readonly path: string;
  readonly workspace: string;
  readonly forTests: boolean;
  readonly lines: number;
  /** Without the lines that are comment only. */
  readonly code: string;
  readonly imports: readonly Import[];
}

interface Workspace {
  readonly folder: string;
  readonly name: string;
  /** What its product code may import. */
  readonly dependencies: ReadonlySet<string>;
  /** What its tests may import besides. */
  readonly devDependencies: ReadonlySet<string>;
}

function importsOf(code: string): Import[] {
  const found: Import[] = [];
  const statement = /^(?:import|export)\b([^;"]*?)\bfrom\s+"([^"]+)"/gm;
  for (const [, clause = "", specifier = ""] of code.matchAll(statement)) {
    found.push({ specifier, clause: clause.trim() });
  }
  for (const [, specifier = ""] of code.matchAll(/^import\s+"([^"]+)"/gm)) {
    found.push({ specifier, clause: "" });
  }
  for (const [, specifier = ""] of code.matchAll(/\bimport\(\s*"([^"]+)"/g)) {
    found.push({ specifier, clause: "" });
  }
  return found;
}

function withoutComments(text: string): string {
  return text.split("\n").filter((line) => !/^\s*(\/\/|\/\*|\*)/.test(line)).join("\n");
}

function readWorkspaces(): Workspace[] {
  return ["apps", "packages"].flatMap((above) =>
    readdirSync(join(root, above)).map((name) => {
      const folder = `${above}/${name}`;
      const manifest = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
      const { dependencies, optionalDependencies, devDependencies } = manifest;
      return {
        folder,
        name: manifest.name,
        dependencies: new Set(Object.keys({ ...dependencies, ...optionalDependencies })),
        devDependencies: new Set(Object.keys(devDependencies ?? {})),
      };
    })
  );
}

function readSources({ folder }: Workspace): Source[] {
  return readdirSync(join(root, folder, "src"), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => {
      const path = `${folder}/src/${file}`;
      const text = readFileSync(join(root, path), "utf8");
      const code = withoutComments(text);
      return {
        path,
        workspace: folder,
        forTests: /\.test\.ts$|\/(testing|golden)\//.test(path),
        lines: text.trimEnd().split("\n").length,
        code,
        imports: importsOf(code),
      };
    });
}

/** `drizzle-orm/pg-core` → `drizzle-orm`, `@postern/smtp` → itself. */
function moduleOf(specifier: string): string {
  return specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/");
}

const isRelative = (specifier: string) => specifier.startsWith(".");

const workspaces = readWorkspaces();
const sources = workspaces.flatMap(readSources);
const product = sources.filter(({ forTests }) => !forTests);
const byName = new Map(workspaces.map((workspace) => [workspace.name, workspace]));

/** Every import of these sources that is against a rule, as `file imports specifier`. */
function offences(
  of: readonly Source[],
  isOffence: (found: Import, source: Source) => boolean,
): string[] {
  return of.flatMap((source) =>
    source.imports.filter((found) => isOffence(found, source))
      .map(({ specifier }) => `${source.path} imports ${specifier}`)
  );
}

test("the sources are found, and imports of every form in them", () => {
  expect(workspaces.map(({ folder }) => folder)).toEqual(
    expect.arrayContaining([...Object.keys(PURE), SQL_PACKAGE, ...ADAPTERS]),
  );
  expect(sources.length).toBeGreaterThan(50);
  const code = withoutComments([
    'import type { A } from "a";',
    'import {\n  b,\n  type C,\n} from "@b/c/d";',
    'export * from "./e.ts";',
    'import "f";',
    '  const g = await import("g");',
    ' * import { h } from "h";',
    '  // import("i")',
  ].join("\n"));
  expect(importsOf(code).map(({ specifier }) => specifier).sort()).toEqual(
    ["./e.ts", "@b/c/d", "a", "f", "g"],
  );
});

describe("the import graph", () => {
  test("apps are imported by nobody", () => {
    const apps = workspaces.filter(({ folder }) => folder.startsWith("apps/"));
    const names = new Set(apps.map(({ name }) => name));
    expect(offences(sources, ({ specifier }, { workspace }) => {
      const to = moduleOf(specifier);
      return names.has(to) && byName.get(to)?.folder !== workspace;
    })).toEqual([]);
  });

  test("a relative import stays in its package's sources", () => {
    expect(offences(product, ({ specifier }, { path, workspace }) => {
      if (!isRelative(specifier)) return false;
      const target = relative(root, resolve(root, dirname(path), specifier));
      return !target.startsWith(`${workspace}/src/`);
    })).toEqual([]);
  });

  test("product code imports nothing that is there for tests", () => {
    expect(offences(product, ({ specifier }) => /\.test\.ts$|\/(testing|golden)\//.test(specifier)))
      .toEqual([]);
  });

  test("what is imported is declared in the importer's package.json", () => {
    const shared = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).devDependencies;
    expect(offences(sources, ({ specifier }, { workspace, forTests }) => {
      if (isRelative(specifier) || specifier.startsWith("node:")) return false;
      const name = moduleOf(specifier);
      const importer = workspaces.find(({ folder }) => folder === workspace);
      if (importer?.dependencies.has(name)) return false;
      return !forTests || !(importer?.devDependencies.has(name) || name in shared);
    })).toEqual([]);
  });

  test("no package depends on itself, by whatever way, tests included", () => {
    const edges = new Map(workspaces.map(({ name, folder }) => {
      const to = sources.filter(({ workspace }) => workspace === folder)
        .flatMap(({ imports }) => imports.map(({ specifier }) => moduleOf(specifier)))
        .filter((target) => byName.has(target));
      return [name, [...new Set(to)]] as const;
    }));
    const cycles: string[] = [];
    const done = new Set<string>();
    const visit = (name: string, way: readonly string[]) => {
      if (way.includes(name)) {
        cycles.push([...way.slice(way.indexOf(name)), name].join(" → "));
      } else if (!done.has(name)) {
        for (const next of edges.get(name) ?? []) visit(next, [...way, name]);
        done.add(name);
      }
    };
    for (const name of edges.keys()) visit(name, []);
    expect(cycles).toEqual([]);
  });
});

describe("purity", () => {
  for (const [folder, allowed] of Object.entries(PURE)) {
    const own = product.filter(({ workspace }) => workspace === folder);

    test(`${folder} imports ${allowed.join(" and ") || "nothing"}`, () => {
      expect(
        offences(
          own,
          ({ specifier }) => !isRelative(specifier) && !allowed.includes(moduleOf(specifier)),
        ),
      ).toEqual([]);
    });

    test(`${folder} has no clock, no timer, no chance, no promise`, () => {
      expect(own.flatMap(({ path, code }) => {
        const found = IMPURE.exec(code);
        return found === null ? [] : [`${path} uses ${found[0]}`];
      })).toEqual([]);
    });
  }

  test("only the store speaks SQL", () => {
    expect(
      offences(
        product,
        ({ specifier }, { workspace }) =>
          workspace !== SQL_PACKAGE && SQL_MODULES.includes(moduleOf(specifier)),
      ),
    ).toEqual([]);
  });

  test("only adapters open sockets", () => {
    const others = product.filter(({ workspace }) => !ADAPTERS.includes(workspace));
    const opensNothing = ({ specifier, clause }: Import) =>
      clause.startsWith("type ") || specifier === "node:net" &&
        /^\{[^}]+\}$/.test(clause) && clause.slice(1, -1).split(",").map((name) => name.trim())
          .every((name) => name === "" || name.startsWith("type ") || ADDRESS_TESTS.includes(name));
    expect(
      offences(others, (found) => SOCKET_MODULES.includes(found.specifier) && !opensNothing(found)),
    ).toEqual([]);
    expect(others.filter(({ code }) => SOCKET_CALL.test(code)).map(({ path }) => path)).toEqual([]);
  });
});

test(`no file of the product is longer than ${LONGEST_FILE} lines`, () => {
  const long = product.filter(({ lines }) => lines > LONGEST_FILE);
  expect(long.map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
});
