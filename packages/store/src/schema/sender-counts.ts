/** What clients and users sent in the windows that are counted now: see sender-rates.ts. */
import { bigint, integer, pgTable, primaryKey, text } from "drizzle-orm/pg-core";

/** One row for each rate and period; not logged, which the migration says by hand. */
export const senderCounts = pgTable("sender_counts", {
  key: text().notNull(),
  /** The length of the window. */
  seconds: integer().notNull(),
  /** Which window: its start divided by its length. */
  started: bigint({ mode: "number" }).notNull(),
  used: integer().notNull(),
}, (table) => [primaryKey({ columns: [table.key, table.seconds] })]);
