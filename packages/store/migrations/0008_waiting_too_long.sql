-- So that what waits behind a destination that fails is found when it has waited too long.
ALTER TABLE "deliveries" ADD COLUMN "waits_from" timestamp with time zone DEFAULT now();--> statement-breakpoint
ALTER TABLE "deliveries" ADD COLUMN "deliver_by" timestamp with time zone;--> statement-breakpoint
UPDATE "deliveries" d SET "waits_from" = coalesce(m."released_at", m."received_at"),
  "deliver_by" = m."received_at" + make_interval(secs => (m."parameters" #>> '{deliverBy,seconds}')::float8)
FROM "messages" m WHERE m."id" = d."message_id";--> statement-breakpoint
CREATE INDEX "deliveries_waiting" ON "deliveries" USING btree ("destination_id","waits_from") WHERE "deliveries"."worker_id" is null and "deliveries"."waits_from" is not null;--> statement-breakpoint
CREATE INDEX "deliveries_deliver_by" ON "deliveries" USING btree ("destination_id","deliver_by") WHERE "deliveries"."worker_id" is null and "deliveries"."deliver_by" is not null;