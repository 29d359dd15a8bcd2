CREATE UNLOGGED TABLE "sender_counts" (
	"key" text NOT NULL,
	"seconds" integer NOT NULL,
	"started" bigint NOT NULL,
	"used" integer NOT NULL,
	CONSTRAINT "sender_counts_key_seconds_pk" PRIMARY KEY("key","seconds")
) WITH (fillfactor = 50);
