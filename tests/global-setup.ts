/** Starts one Postgres for the whole test run; each test file makes its own database in it. */
import { startPostgres } from "@postern/postgres";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    postgresUrl: string;
  }
}

/** Vitest calls this once before all tests; what it returns, once after them. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await Deno.makeTempDir({ prefix: "postern-test-" });
  // Postgres does not run as root: the user it runs as must be able to come here.
  await Deno.chmod(dataDir, 0o755);
  const postgres = await startPostgres({ dataDir, durable: false });
  if (!postgres.ok) throw new Error(postgres.problem);
  project.provide("postgresUrl", postgres.url);
  return async () => {
    await postgres.stop();
    await Deno.remove(dataDir, { recursive: true });
  };
}
