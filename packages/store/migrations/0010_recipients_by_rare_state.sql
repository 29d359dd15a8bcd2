-- A recipient's row is updated within its page when it is delivered, as no index has its state any
-- more, and pages have room for that. Partitions made from now on are set so when they are made.
ALTER TABLE "recipients_default" SET (fillfactor = 45);--> statement-breakpoint
DROP INDEX "recipients_state";--> statement-breakpoint
ALTER TABLE "recipients" ADD COLUMN "rare_state" text GENERATED ALWAYS AS (case when state in ('deferred', 'held', 'bounced', 'deleted') then state end) STORED;--> statement-breakpoint
CREATE INDEX "recipients_rare_state" ON "recipients" USING btree ("rare_state","message_id") WHERE "recipients"."rare_state" is not null;
