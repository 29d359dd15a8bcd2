/** The sandbox of a new gateway: mail for example.test is kept for looking at. */
import { domainSchema } from "@postern/config";
import { openConfiguration } from "./configuration.ts";
import { openDatabase } from "./connection.ts";

/** Adds the sandbox if nobody has configured anything yet. */
export async function seedSandbox(databaseUrl: string): Promise<void> {
  const database = openDatabase(databaseUrl, { applicationName: "postern seed", connections: 1 });
  try {
    const configuration = openConfiguration(database);
    if ((await configuration.currentVersion()) !== 1) return;
    await configuration.apply([
      { kind: "relays", name: "sandbox", body: { kind: "capture" } },
      { kind: "domains", name: "example.test", body: domainSchema.parse({ relay: "sandbox" }) },
    ], { author: "postern", note: "the sandbox: mail for example.test is captured" });
  } finally {
    await database.close();
  }
}
