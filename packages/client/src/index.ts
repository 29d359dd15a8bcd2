/** A typed client of Postern's REST API. */
export * from "./client.ts";
export * from "./failure.ts";
