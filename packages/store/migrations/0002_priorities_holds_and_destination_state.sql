CREATE TABLE "destination_pauses" (
	"destination_id" bigint NOT NULL,
	"paused_at" timestamp with time zone NOT NULL,
	"resumed_at" timestamp with time zone NOT NULL,
	CONSTRAINT "destination_pauses_destination_id_paused_at_pk" PRIMARY KEY("destination_id","paused_at")
);
--> statement-breakpoint
DROP INDEX "deliveries_due";--> statement-breakpoint
DROP INDEX "deliveries_claimed";--> statement-breakpoint
ALTER TABLE "deliveries" ADD COLUMN "priority" smallint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "destinations" ADD COLUMN "failures" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "destinations" ADD COLUMN "probe_until" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "destinations" ADD COLUMN "last_reply_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "destinations" ADD COLUMN "concurrency" real;--> statement-breakpoint
ALTER TABLE "destinations" ADD COLUMN "allowance" jsonb;--> statement-breakpoint
ALTER TABLE "messages" ADD COLUMN "released_at" timestamp with time zone;--> statement-breakpoint
CREATE INDEX "deliveries_due" ON "deliveries" USING btree ("destination_id","priority","due_at") WHERE "deliveries"."worker_id" is null;--> statement-breakpoint
CREATE INDEX "deliveries_claimed" ON "deliveries" USING btree ("destination_id","worker_id") WHERE "deliveries"."worker_id" is not null;