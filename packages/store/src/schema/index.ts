export * from "./configuration.ts";
export * from "./queue.ts";
