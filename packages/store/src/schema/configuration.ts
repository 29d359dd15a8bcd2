/**
 * The configuration's tables. A resource is a row per definition it ever had, valid from one
 * version up to another, so that each version of the whole can be read, compared and restored.
 */
import { sql } from "drizzle-orm";
import {
  bigint,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
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

/** Tokens of the API. Only their SHA-256 is kept. */
export const apiTokens = pgTable("api_tokens", {
  id: uuid().primaryKey(),
  name: text().notNull().unique(),
  /** SHA-256 of the token, in hex. */
  digest: text().notNull().unique(),
  scopes: text().array().notNull(),
  createdBy: text("created_by").notNull(),
  createdAt: timestamp("created_at", { withTimezone: true }).notNull().defaultNow(),
  expiresAt: timestamp("expires_at", { withTimezone: true }),
  /** To the minute. */
  lastUsedAt: timestamp("last_used_at", { withTimezone: true }),
});

/** Who did what over the API, when and from where. */
export const auditLog = pgTable("audit_log", {
  id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  actor: text().notNull(),
  address: text(),
  action: text().notNull(),
  target: text(),
  detail: jsonb().notNull(),
}, (table) => [
  index("audit_log_at").on(table.at),
  index("audit_log_actor").on(table.actor, table.id),
  index("audit_log_action").on(table.action, table.id),
  index("audit_log_target").on(table.target, table.id),
]);

/** What was answered to a POST, for the one who sends it again. */
export const idempotencyKeys = pgTable("idempotency_keys", {
  /** Whose key it is: keys of different tokens have nothing to do with each other. */
  owner: text().notNull(),
  key: text().notNull(),
  /** SHA-256 of method, path and body, in hex. */
  request: text().notNull(),
  at: timestamp({ withTimezone: true }).notNull().defaultNow(),
  /** Null while the first request is being served. */
  status: integer(),
  headers: jsonb(),
  body: text(),
}, (table) => [
  primaryKey({ columns: [table.owner, table.key] }),
  index("idempotency_keys_at").on(table.at),
]);
