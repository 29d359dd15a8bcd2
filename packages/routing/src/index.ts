/** Routing: which way each recipient's copy goes, decided from a snapshot of the configuration. */
export * from "./decide.ts";
export * from "./networks.ts";
export * from "./snapshot.ts";
