-- What is late keeps the time since when it waits, so that it is found when its lifetime is over.
ALTER TABLE "deliveries" ADD COLUMN "late_from" timestamp with time zone;--> statement-breakpoint
UPDATE "deliveries" d SET "late_from" = coalesce(m."released_at", m."received_at")
FROM "messages" m WHERE d."waits_from" is null AND m."id" = d."message_id";--> statement-breakpoint
-- What was released into a delivery that waited began its lifetime anew by the message alone.
UPDATE "deliveries" d SET "waits_from" = m."released_at"
FROM "messages" m WHERE m."id" = d."message_id" AND d."waits_from" < m."released_at";--> statement-breakpoint
CREATE INDEX "deliveries_late" ON "deliveries" USING btree ("destination_id","late_from") WHERE "deliveries"."worker_id" is null and "deliveries"."late_from" is not null;
