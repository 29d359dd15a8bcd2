/**
 * Secrets at rest: sealed so that they can be opened again, or turned into a verifier so that they
 * cannot. WebCrypto only: runs in every runtime.
 */
export * from "./scram.ts";
export * from "./sealing.ts";
