/**
 * The recipient lists of domains. An address is a row for each time it was on the list, valid from
 * one version of the configuration up to another; unchanged addresses are not written again when
 * a list is replaced.
 */
import { sql } from "drizzle-orm";
import {
  bigint,
  index,
  integer,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from "drizzle-orm/pg-core";
import { configurationVersions } from "./configuration.ts";

/** The addresses; `valid_to` is null for those on the list now. */
export const domainRecipients = pgTable("domain_recipients", {
  domain: text().notNull(),
  /** As `listedAddress` of the configuration package spells it. */
  address: text().notNull(),
  validFrom: bigint("valid_from", { mode: "number" }).notNull(),
  validTo: bigint("valid_to", { mode: "number" }),
}, (table) => [
  primaryKey({ columns: [table.domain, table.address, table.validFrom] }),
  uniqueIndex("domain_recipients_in_force").on(table.domain, table.address)
    .where(sql`${table.validTo} is null`),
]);

/** Which versions changed which lists, and by how many addresses. */
export const recipientListChanges = pgTable("recipient_list_changes", {
  version: bigint({ mode: "number" }).notNull().references(() => configurationVersions.version),
  domain: text().notNull(),
  added: integer().notNull(),
  removed: integer().notNull(),
  /** Addresses on the list after the change. */
  size: integer().notNull(),
}, (table) => [
  primaryKey({ columns: [table.version, table.domain] }),
  index("recipient_list_changes_domain").on(table.domain, table.version),
]);

/** Lists on their way in, a row for each batch, before they take effect; not logged. */
export const recipientListUploads = pgTable("recipient_list_uploads", {
  upload: uuid().notNull(),
  batch: integer().notNull(),
  addresses: text().array().notNull(),
  at: timestamp({ withTimezone: true }).notNull().defaultNow(),
}, (table) => [primaryKey({ columns: [table.upload, table.batch] })]);
