// Lints the OpenAPI document: makes it from the operations, without a database, and hands it to
// Redocly, which is told to tell nobody.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const directory = mkdtempSync(join(tmpdir(), "postern-openapi-"));
try {
  const document = run("deno", [
    "run",
    "--quiet",
    "--allow-read",
    "--allow-env",
    "--allow-sys",
    "apps/admin/src/describe.ts",
  ]);
  const file = join(directory, "openapi.json");
  writeFileSync(file, document);
  run("redocly", ["lint", file, "--config", "redocly.yaml", "--format", "stylish"]);
} finally {
  rmSync(directory, { recursive: true });
}

/** Runs a program of the install; answers what it said, or ends with it. */
function run(program, args) {
  const { status, stdout, stderr, error } = spawnSync(
    join(root, "node_modules", ".bin", program),
    args,
    {
      cwd: root,
      encoding: "utf8",
      maxBuffer: 64 * 1024 * 1024,
      env: {
        ...process.env,
        REDOCLY_TELEMETRY: "off",
        REDOCLY_SUPPRESS_UPDATE_NOTICE: "true",
        NODE_OPTIONS: "--no-deprecation",
      },
    },
  );
  if (status === 0) return stdout;
  process.stderr.write(`${error?.message ?? ""}${stdout}${stderr}`);
  rmSync(directory, { recursive: true });
  process.exit(1);
}
