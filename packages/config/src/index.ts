/**
 * The configuration's resources, each defined once as a zod schema: from it come the validation
 * of the REST API, the OpenAPI document, the TypeScript types and the errors people read.
 */
export * from "./changes.ts";
export * from "./client.ts";
export * from "./configuration.ts";
export * from "./difference.ts";
export * from "./document.ts";
export * from "./domain.ts";
export * from "./faults.ts";
export * from "./limits.ts";
export * from "./names.ts";
export * from "./pattern.ts";
export * from "./recipient-list.ts";
export * from "./relay.ts";
export * from "./rule.ts";
export * from "./secret-fields.ts";
export * from "./secret.ts";
export * from "./settings.ts";
export * from "./user.ts";
