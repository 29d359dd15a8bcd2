ALTER TABLE "recipients" ADD COLUMN "treatment" jsonb DEFAULT '{}'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "recipients" ADD COLUMN "delay_reported_at" timestamp with time zone;