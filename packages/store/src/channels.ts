/** The names under which processes wake and lock each other in Postgres. */

/** NOTIFY with the new version's number after each change of the configuration. */
export const CONFIGURATION_CHANNEL = "postern_configuration";

/** NOTIFY when the queue got something that is due, with what announcer.ts writes; or without text. */
export const QUEUE_CHANNEL = "postern_queue";

/** The advisory lock under which the configuration changes. */
export const CONFIGURATION_LOCK = 7_025_002;

/** The advisory lock of the one process that looks after partitions and retention. */
export const UPKEEP_LOCK = 7_025_003;

/**
 * The advisory lock of content whose message is not there: who removes such content has it, who makes a
 * message of it shares it. So no message is committed for pieces that are just being removed.
 */
export const PIECES_LOCK = 7_025_004;
