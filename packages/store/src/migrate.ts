/** Brings a database to this version's tables. Safe to run from several processes at once. */
import { fileURLToPath } from "node:url";
import { drizzle } from "drizzle-orm/postgres-js";
import { migrate as migrateWithDrizzle } from "drizzle-orm/postgres-js/migrator";
import postgres from "postgres";
import { driverAddress } from "./address.ts";
import { Sockets } from "./socket.ts";

/** Any number: all that matters is that every process asks for the same lock. */
const MIGRATION_LOCK = 7_025_001;

/** Applies the migrations that the database lacks. */
export async function migrate(databaseUrl: string): Promise<void> {
  const migrationsFolder = fileURLToPath(new URL("../migrations", import.meta.url));
  const { url, ...socket } = driverAddress(databaseUrl);
  const client = postgres(url, {
    ...socket,
    // What cannot be opened, as for want of permission, then fails the statement, not the process.
    ...{ socket: new Sockets(() => {}).opener() },
    max: 1,
    onnotice: () => {},
    connect_timeout: 10,
  });
  try {
    await client`select pg_advisory_lock(${MIGRATION_LOCK})`;
    await migrateWithDrizzle(drizzle(client), { migrationsFolder });
  } finally {
    await client.end({ timeout: 5 });
  }
}
