-- Messages and what belongs to them lie in a partition for each day, by the time in the message's id,
-- so that what is old goes by dropping a table and not by deleting rows. The default partitions take
-- whatever has no partition of its own; what is there already is carried over into them.
CREATE SEQUENCE "public"."event_numbers" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1;--> statement-breakpoint
ALTER TABLE "events" ALTER COLUMN "id" DROP IDENTITY;--> statement-breakpoint
ALTER TABLE "events" ALTER COLUMN "id" SET DEFAULT nextval('event_numbers');--> statement-breakpoint
SELECT setval('event_numbers', coalesce(max("id"), 0) + 1, false) FROM "events";--> statement-breakpoint
CREATE TABLE "messages_by_day" (LIKE "messages" INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE ("id");--> statement-breakpoint
CREATE TABLE "contents_by_day" (LIKE "contents" INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE ("message_id");--> statement-breakpoint
CREATE TABLE "recipients_by_day" (LIKE "recipients" INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE ("message_id");--> statement-breakpoint
CREATE TABLE "events_by_day" (LIKE "events" INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE ("message_id");--> statement-breakpoint
CREATE TABLE "messages_default" PARTITION OF "messages_by_day" DEFAULT;--> statement-breakpoint
CREATE TABLE "contents_default" PARTITION OF "contents_by_day" DEFAULT;--> statement-breakpoint
CREATE TABLE "recipients_default" PARTITION OF "recipients_by_day" DEFAULT WITH (fillfactor = 85);--> statement-breakpoint
CREATE TABLE "events_default" PARTITION OF "events_by_day" DEFAULT;--> statement-breakpoint
INSERT INTO "messages_by_day" SELECT * FROM "messages";--> statement-breakpoint
INSERT INTO "contents_by_day" SELECT * FROM "contents";--> statement-breakpoint
INSERT INTO "recipients_by_day" SELECT * FROM "recipients";--> statement-breakpoint
INSERT INTO "events_by_day" SELECT * FROM "events";--> statement-breakpoint
DROP TABLE "messages", "contents", "recipients", "events";--> statement-breakpoint
ALTER TABLE "messages_by_day" RENAME TO "messages";--> statement-breakpoint
ALTER TABLE "contents_by_day" RENAME TO "contents";--> statement-breakpoint
ALTER TABLE "recipients_by_day" RENAME TO "recipients";--> statement-breakpoint
ALTER TABLE "events_by_day" RENAME TO "events";--> statement-breakpoint
ALTER TABLE "messages" ADD CONSTRAINT "messages_pkey" PRIMARY KEY ("id");--> statement-breakpoint
ALTER TABLE "contents" ADD CONSTRAINT "contents_message_id_ordinal_pk" PRIMARY KEY ("message_id","ordinal");--> statement-breakpoint
ALTER TABLE "recipients" ADD CONSTRAINT "recipients_message_id_ordinal_pk" PRIMARY KEY ("message_id","ordinal");--> statement-breakpoint
ALTER TABLE "events" ADD CONSTRAINT "events_message_id_id_pk" PRIMARY KEY ("message_id","id");--> statement-breakpoint
CREATE INDEX "messages_reverse_path" ON "messages" USING btree (lower("reverse_path"),"id");--> statement-breakpoint
CREATE INDEX "messages_message_id" ON "messages" USING btree ("message_id");--> statement-breakpoint
CREATE INDEX "recipients_forward_path" ON "recipients" USING btree (lower("forward_path"),"message_id");--> statement-breakpoint
CREATE INDEX "recipients_held" ON "recipients" USING btree ("message_id") WHERE "recipients"."state" = 'held';
