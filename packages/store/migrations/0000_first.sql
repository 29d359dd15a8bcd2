CREATE TABLE "configuration_resources" (
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"body" jsonb NOT NULL,
	"valid_from" bigint NOT NULL,
	"valid_to" bigint,
	CONSTRAINT "configuration_resources_kind_name_valid_from_pk" PRIMARY KEY("kind","name","valid_from")
);
--> statement-breakpoint
CREATE TABLE "configuration_versions" (
	"version" bigint PRIMARY KEY NOT NULL,
	"author" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"note" text DEFAULT '' NOT NULL
);
--> statement-breakpoint
CREATE TABLE "contents" (
	"message_id" uuid NOT NULL,
	"ordinal" integer NOT NULL,
	"bytes" "bytea" NOT NULL,
	CONSTRAINT "contents_message_id_ordinal_pk" PRIMARY KEY("message_id","ordinal")
);
--> statement-breakpoint
CREATE TABLE "deliveries" (
	"message_id" uuid NOT NULL,
	"destination_id" bigint NOT NULL,
	"due_at" timestamp with time zone NOT NULL,
	"attempts" smallint DEFAULT 0 NOT NULL,
	"worker_id" bigint,
	CONSTRAINT "deliveries_message_id_destination_id_pk" PRIMARY KEY("message_id","destination_id")
);
--> statement-breakpoint
CREATE TABLE "destinations" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "destinations_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"relay" text NOT NULL,
	"next_hop" text NOT NULL,
	"paused_at" timestamp with time zone,
	"not_before" timestamp with time zone,
	"last_reply" text,
	CONSTRAINT "destinations_relay_next_hop" UNIQUE("relay","next_hop")
);
--> statement-breakpoint
CREATE TABLE "events" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"message_id" uuid NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"kind" text NOT NULL,
	"detail" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "messages" (
	"id" uuid PRIMARY KEY NOT NULL,
	"received_at" timestamp with time zone NOT NULL,
	"reverse_path" text NOT NULL,
	"parameters" jsonb NOT NULL,
	"session" jsonb NOT NULL,
	"size" bigint NOT NULL,
	"message_id" text,
	"configuration_version" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "processes" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "processes_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" text NOT NULL,
	"host" text NOT NULL,
	"pid" integer NOT NULL,
	"listening" text[] DEFAULT '{}' NOT NULL,
	"started_at" timestamp with time zone DEFAULT now() NOT NULL,
	"seen_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "recipients" (
	"message_id" uuid NOT NULL,
	"ordinal" integer NOT NULL,
	"forward_path" text NOT NULL,
	"parameters" jsonb NOT NULL,
	"decision" jsonb NOT NULL,
	"destination_id" bigint NOT NULL,
	"state" text NOT NULL,
	"last_reply" text,
	"changed_at" timestamp with time zone NOT NULL,
	CONSTRAINT "recipients_message_id_ordinal_pk" PRIMARY KEY("message_id","ordinal")
);
--> statement-breakpoint
ALTER TABLE "configuration_resources" ADD CONSTRAINT "configuration_resources_valid_from_configuration_versions_version_fk" FOREIGN KEY ("valid_from") REFERENCES "public"."configuration_versions"("version") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "configuration_resources" ADD CONSTRAINT "configuration_resources_valid_to_configuration_versions_version_fk" FOREIGN KEY ("valid_to") REFERENCES "public"."configuration_versions"("version") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "configuration_resources_in_force" ON "configuration_resources" USING btree ("kind","name") WHERE "configuration_resources"."valid_to" is null;--> statement-breakpoint
CREATE INDEX "configuration_resources_valid_from" ON "configuration_resources" USING btree ("valid_from");--> statement-breakpoint
CREATE INDEX "configuration_resources_valid_to" ON "configuration_resources" USING btree ("valid_to");--> statement-breakpoint
CREATE INDEX "deliveries_due" ON "deliveries" USING btree ("destination_id","due_at") WHERE "deliveries"."worker_id" is null;--> statement-breakpoint
CREATE INDEX "deliveries_claimed" ON "deliveries" USING btree ("worker_id") WHERE "deliveries"."worker_id" is not null;--> statement-breakpoint
CREATE INDEX "events_message_id" ON "events" USING btree ("message_id");--> statement-breakpoint
CREATE INDEX "messages_reverse_path" ON "messages" USING btree (lower("reverse_path"),"id");--> statement-breakpoint
CREATE INDEX "messages_message_id" ON "messages" USING btree ("message_id");--> statement-breakpoint
CREATE INDEX "recipients_forward_path" ON "recipients" USING btree (lower("forward_path"),"message_id");--> statement-breakpoint
-- Mail is rarely worth compressing again and never worth the time while a client waits.
ALTER TABLE "contents" ALTER COLUMN "bytes" SET STORAGE EXTERNAL;--> statement-breakpoint
-- Room for the one update each recipient gets, in its own page and without touching an index.
ALTER TABLE "recipients" SET (fillfactor = 85);--> statement-breakpoint
-- The queue turns over all the time: vacuum it by number of rows, not by share.
ALTER TABLE "deliveries" SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);--> statement-breakpoint
-- What has no domain of ours goes to the relay named default, which is MX lookup at first.
INSERT INTO "configuration_versions" ("version", "author", "note") VALUES (1, 'postern', 'the configuration of a new gateway');--> statement-breakpoint
INSERT INTO "configuration_resources" ("kind", "name", "body", "valid_from") VALUES ('relays', 'default', '{"kind": "mx", "port": 25}', 1);
