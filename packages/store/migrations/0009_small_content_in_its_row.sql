-- Content of up to a page stays in its row: moved out, four kilobytes took three rows and three entries
-- of an index more. Partitions made from now on are set so when they are made.
ALTER TABLE "contents_default" SET (toast_tuple_target = 8160);
