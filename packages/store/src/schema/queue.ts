/**
 * The tables of messages and of the queue.
 *
 * `messages`, `contents` and `recipients` hold what was accepted; `deliveries` is the queue proper:
 * a row for each message and destination that still has something to do, gone when it is done, so
 * that what workers search stays small. `events` tells what happened, a row for each attempt.
 */
import { sql } from "drizzle-orm";
import {
  bigint,
  customType,
  index,
  integer,
  jsonb,
  pgSequence,
  pgTable,
  primaryKey,
  real,
  smallint,
  text,
  timestamp,
  unique,
  uuid,
} from "drizzle-orm/pg-core";

const bytea = customType<{ data: Uint8Array }>({ dataType: () => "bytea" });

/** The running processes; a row whose process no longer renews it is dead and is removed. */
export const processes = pgTable("processes", {
  id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  kind: text().notNull(),
  host: text().notNull(),
  pid: integer().notNull(),
  listening: text().array().notNull().default(sql`'{}'`),
  startedAt: timestamp("started_at", { withTimezone: true }).notNull().defaultNow(),
  seenAt: timestamp("seen_at", { withTimezone: true }).notNull().defaultNow(),
});

/** Where deliveries go: a relay and, for MX lookup, the domain looked up. */
export const destinations = pgTable("destinations", {
  id: bigint({ mode: "number" }).primaryKey().generatedAlwaysAsIdentity(),
  relay: text().notNull(),
  nextHop: text("next_hop").notNull(),
  pausedAt: timestamp("paused_at", { withTimezone: true }),
  /** Nothing is claimed before this time: the destination failed as a whole. */
  notBefore: timestamp("not_before", { withTimezone: true }),
  /** How often in a row it failed as a whole; 0 where mail goes through. */
  failures: integer().notNull().default(0),
  /** While it fails, one delivery at a time probes it; that one has until this time. */
  probeUntil: timestamp("probe_until", { withTimezone: true }),
  lastReply: text("last_reply"),
  lastReplyAt: timestamp("last_reply_at", { withTimezone: true }),
  /** Deliveries at once, where its relay limits them: grows on success, shrinks on failure. */
  concurrency: real(),
  /** What is left of its rate (`Allowance` in limits.ts), where its relay has one. */
  allowance: jsonb(),
}, (table) => [unique("destinations_relay_next_hop").on(table.relay, table.nextHop)]);

/** When destinations were paused: that time does not count against the lifetime of what waits. */
export const destinationPauses = pgTable("destination_pauses", {
  destinationId: bigint("destination_id", { mode: "number" }).notNull(),
  pausedAt: timestamp("paused_at", { withTimezone: true }).notNull(),
  resumedAt: timestamp("resumed_at", { withTimezone: true }).notNull(),
}, (table) => [primaryKey({ columns: [table.destinationId, table.pausedAt] })]);

/** One row for each accepted message; its id is its queue id, a UUID that sorts by time. */
export const messages = pgTable("messages", {
  id: uuid().primaryKey(),
  receivedAt: timestamp("received_at", { withTimezone: true }).notNull(),
  /** Not to be delivered before this time, as the sender asked (RFC 4865). */
  releasedAt: timestamp("released_at", { withTimezone: true }),
  reversePath: text("reverse_path").notNull(),
  parameters: jsonb().notNull(),
  session: jsonb().notNull(),
  size: bigint({ mode: "number" }).notNull(),
  messageId: text("message_id"),
  configurationVersion: bigint("configuration_version", { mode: "number" }).notNull(),
}, (table) => [
  index("messages_reverse_path").on(sql`lower(${table.reversePath})`, table.id),
  index("messages_message_id").on(table.messageId),
]);

/** The content in pieces; small messages have one piece, numbered 0. */
export const contents = pgTable("contents", {
  messageId: uuid("message_id").notNull(),
  ordinal: integer().notNull(),
  bytes: bytea().notNull(),
}, (table) => [primaryKey({ columns: [table.messageId, table.ordinal] })]);

/** One row for each recipient of each message. */
export const recipients = pgTable("recipients", {
  messageId: uuid("message_id").notNull(),
  ordinal: integer().notNull(),
  forwardPath: text("forward_path").notNull(),
  parameters: jsonb().notNull(),
  /** As it was when the message came in; of who was rerouted, with its `destination` of then. */
  decision: jsonb().notNull(),
  destinationId: bigint("destination_id", { mode: "number" }).notNull(),
  /** What is different about this recipient's copy (`Treatment` in records.ts). */
  treatment: jsonb().notNull().default({}),
  state: text().notNull(),
  /**
   * The state where it is one that few are in, for the index. An index of `state` itself would make
   * each delivery write into all indexes of this table: only a row none of whose indexed columns
   * changed can be updated within its page.
   */
  rareState: text("rare_state").generatedAlwaysAs(
    sql`case when state in ('deferred', 'held', 'bounced', 'deleted') then state end`,
  ),
  lastReply: text("last_reply"),
  /** When its sender was told that it is late: told once. */
  delayReportedAt: timestamp("delay_reported_at", { withTimezone: true }),
  changedAt: timestamp("changed_at", { withTimezone: true }).notNull(),
}, (table) => [
  primaryKey({ columns: [table.messageId, table.ordinal] }),
  index("recipients_forward_path").on(sql`lower(${table.forwardPath})`, table.messageId),
  // What waits is found by its delivery, what was delivered is all over.
  index("recipients_rare_state").on(table.rareState, table.messageId)
    .where(sql`${table.rareState} is not null`),
]);

/** The queue: what is still to be done, per message and destination. */
export const deliveries = pgTable("deliveries", {
  messageId: uuid("message_id").notNull(),
  destinationId: bigint("destination_id", { mode: "number" }).notNull(),
  dueAt: timestamp("due_at", { withTimezone: true }).notNull(),
  /** −9 to 9: of a destination's deliveries that are due, the highest go first (RFC 6710). */
  priority: smallint().notNull().default(0),
  attempts: smallint().notNull().default(0),
  workerId: bigint("worker_id", { mode: "number" }),
  /** Since when it waits; null once it was looked at because it waits too long. */
  waitsFrom: timestamp("waits_from", { withTimezone: true }).defaultNow(),
  /** What `waits_from` was, once that is null: for as long as it waits its lifetime runs. */
  lateFrom: timestamp("late_from", { withTimezone: true }),
  /** Until when it is to be delivered (RFC 2852); null where nobody asked, and once that was seen to. */
  deliverBy: timestamp("deliver_by", { withTimezone: true }),
}, (table) => [
  primaryKey({ columns: [table.messageId, table.destinationId] }),
  index("deliveries_due").on(table.destinationId, table.priority, table.dueAt)
    .where(sql`${table.workerId} is null`),
  index("deliveries_claimed").on(table.destinationId, table.workerId)
    .where(sql`${table.workerId} is not null`),
  index("deliveries_waiting").on(table.destinationId, table.waitsFrom)
    .where(sql`${table.workerId} is null and ${table.waitsFrom} is not null`),
  // Apart, so that what is not late yet is in no index more for it.
  index("deliveries_late").on(table.destinationId, table.lateFrom)
    .where(sql`${table.workerId} is null and ${table.lateFrom} is not null`),
  index("deliveries_deliver_by").on(table.destinationId, table.deliverBy)
    .where(sql`${table.workerId} is null and ${table.deliverBy} is not null`),
]);

/** Numbers events in the order in which they were written. */
export const eventNumbers = pgSequence("event_numbers");

/** What happened to a message after it was received. */
export const events = pgTable("events", {
  id: bigint({ mode: "number" }).notNull().default(sql`nextval('event_numbers')`),
  messageId: uuid("message_id").notNull(),
  at: timestamp({ withTimezone: true }).notNull(),
  kind: text().notNull(),
  detail: jsonb().notNull(),
}, (table) => [primaryKey({ columns: [table.messageId, table.id] })]);
