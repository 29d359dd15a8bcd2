/**
 * The configuration's tables. A resource is a row per definition it ever had, valid from one
 * version up to another, so that each version of the whole can be read, compared and restored.
 */
import { sql } from "drizzle-orm";
import {
  bigint,
  index,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
} from "drizzle-orm/pg-core";

/** One row for each change of the configuration. */
export const configurationVersions = pgTable("configuration_versions", {
  version: bigint({ mode: "number" }).primaryKey(),
  author: text().notNull(),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  note: text().notNull().default(""),
});

/** The definitions; `valid_to` is null for those in force. */
export const configurationResources = pgTable("configuration_resources", {
  kind: text().notNull(),
  name: text().notNull(),
  body: jsonb().notNull(),
  validFrom: bigint("valid_from", { mode: "number" }).notNull()
    .references(() => configurationVersions.version),
  validTo: bigint("valid_to", { mode: "number" })
    .references(() => configurationVersions.version),
}, (table) => [
  primaryKey({ columns: [table.kind, table.name, table.validFrom] }),
  uniqueIndex("configuration_resources_in_force").on(table.kind, table.name)
    .where(sql`${table.validTo} is null`),
  index("configuration_resources_valid_from").on(table.validFrom),
  index("configuration_resources_valid_to").on(table.validTo),
]);
