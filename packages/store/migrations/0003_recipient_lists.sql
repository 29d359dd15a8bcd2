CREATE TABLE "domain_recipients" (
	"domain" text NOT NULL,
	"address" text NOT NULL,
	"valid_from" bigint NOT NULL,
	"valid_to" bigint,
	CONSTRAINT "domain_recipients_domain_address_valid_from_pk" PRIMARY KEY("domain","address","valid_from")
);
--> statement-breakpoint
CREATE TABLE "recipient_list_changes" (
	"version" bigint NOT NULL,
	"domain" text NOT NULL,
	"added" integer NOT NULL,
	"removed" integer NOT NULL,
	"size" integer NOT NULL,
	CONSTRAINT "recipient_list_changes_version_domain_pk" PRIMARY KEY("version","domain")
);
--> statement-breakpoint
CREATE UNLOGGED TABLE "recipient_list_uploads" (
	"upload" uuid NOT NULL,
	"batch" integer NOT NULL,
	"addresses" text[] NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "recipient_list_uploads_upload_batch_pk" PRIMARY KEY("upload","batch")
);
--> statement-breakpoint
ALTER TABLE "recipient_list_changes" ADD CONSTRAINT "recipient_list_changes_version_configuration_versions_version_fk" FOREIGN KEY ("version") REFERENCES "public"."configuration_versions"("version") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "domain_recipients_in_force" ON "domain_recipients" USING btree ("domain","address") WHERE "domain_recipients"."valid_to" is null;--> statement-breakpoint
CREATE INDEX "recipient_list_changes_domain" ON "recipient_list_changes" USING btree ("domain","version");