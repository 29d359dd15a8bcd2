export * from "./configuration.ts";
export * from "./queue.ts";
export * from "./recipient-lists.ts";
export * from "./sender-counts.ts";
