/** What `npm start` does before Deno: the real script in a tree of its own, with an npm that notes. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

const scripts = fileURLToPath(new URL("../../../scripts", import.meta.url));

/** Installs what the script looks for, after it noted that it was called. */
const WORKING_NPM = `#!/bin/sh
echo "npm $1" >> calls
rm -rf node_modules
mkdir -p node_modules/.bin node_modules/deno node_modules/patch-package
touch node_modules/deno/deno node_modules/.package-lock.json
ln -sf ../deno/bin.cjs node_modules/.bin/deno
cat > node_modules/deno/install.cjs <<'END'
require("node:fs").appendFileSync("calls", "install.cjs\\n");
END
cat > node_modules/patch-package/index.js <<'END'
require("node:fs").appendFileSync("calls", "patch-package\\n");
END
`;

let root = "";
beforeEach(async () => {
  root = await Deno.makeTempDir({ prefix: "postern-install-" });
  await Deno.mkdir(`${root}/scripts`);
  await Deno.mkdir(`${root}/programs`);
  await Deno.mkdir(`${root}/patches`);
  await Deno.writeTextFile(`${root}/patches/some.patch`, "one");
  for (const name of ["ensure-installed.mjs", "apply-patches.mjs"]) {
    await Deno.copyFile(`${scripts}/${name}`, `${root}/scripts/${name}`);
  }
  await Deno.writeTextFile(`${root}/package-lock.json`, "{}");
  await npmIs(WORKING_NPM);
});
afterEach(() => Deno.remove(root, { recursive: true }));

async function npmIs(source: string): Promise<void> {
  await Deno.writeTextFile(`${root}/programs/npm`, source, { mode: 0o755 });
}

function ensureInstalled(): Promise<{ code: number | null; said: string }> {
  const child = spawn("node", [`${root}/scripts/ensure-installed.mjs`], {
    env: { ...process.env, PATH: `${root}/programs:${process.env["PATH"]}` },
  });
  let said = "";
  child.stdout.on("data", (part: Uint8Array) => said += part);
  child.stderr.on("data", (part: Uint8Array) => said += part);
  const { promise, resolve } = Promise.withResolvers<{ code: number | null; said: string }>();
  child.on("close", (code) => resolve({ code, said }));
  return promise;
}

const calls = async () => (await Deno.readTextFile(`${root}/calls`)).trim().split("\n");
const INSTALL = ["npm ci", "patch-package", "install.cjs"];
const INSTALLING = "Installing the dependencies; this takes a minute …\n";

describe("ensure-installed", () => {
  test("installs once, again when the lock file is newer, and makes deno the program", async () => {
    expect(await ensureInstalled()).toEqual({ code: 0, said: INSTALLING });
    expect(await Deno.readLink(`${root}/node_modules/.bin/deno`)).toBe("../deno/deno");
    expect(await ensureInstalled()).toEqual({ code: 0, said: "" });
    expect(await calls()).toEqual(INSTALL);

    const later = Date.now() / 1000 + 60;
    await Deno.utime(`${root}/package-lock.json`, later, later);
    expect((await ensureInstalled()).said).toBe(INSTALLING);
    expect(await calls()).toEqual([...INSTALL, ...INSTALL]);
  });

  test("patches what others installed, and installs again when the patches changed", async () => {
    await ensureInstalled();
    await Deno.remove(`${root}/node_modules/.patches-applied`);
    expect(await ensureInstalled()).toEqual({ code: 0, said: "" });
    expect(await calls()).toEqual([...INSTALL, "patch-package"]);

    await Deno.writeTextFile(`${root}/patches/some.patch`, "another");
    expect((await ensureInstalled()).said).toBe(INSTALLING);
    expect(await ensureInstalled()).toEqual({ code: 0, said: "" });
    expect(await calls()).toEqual([...INSTALL, "patch-package", ...INSTALL]);
  });

  test("two at once install once", async () => {
    const both = await Promise.all([ensureInstalled(), ensureInstalled()]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    expect(await calls()).toEqual(INSTALL);
  });

  test("takes over from one that died", async () => {
    const dead = spawn("true");
    await new Promise((resolve) => dead.once("close", resolve));
    await Deno.mkdir(`${root}/.install-lock`);
    await Deno.writeTextFile(`${root}/.install-lock/pid`, String(dead.pid));
    expect(await ensureInstalled()).toEqual({ code: 0, said: INSTALLING });
  });

  test("says what npm said when it fails, and does not stand in its own way", async () => {
    await npmIs("#!/bin/sh\necho 'npm error network request failed' >&2\nexit 1\n");
    const problem = "The dependencies could not be installed: npm said\n" +
      "npm error network request failed\n";
    expect(await ensureInstalled()).toEqual({ code: 1, said: INSTALLING + problem });
    await npmIs(WORKING_NPM);
    expect((await ensureInstalled()).code).toBe(0);
  });
});
