/** What all processes of Postern share: their environment, their log, their start and their end. */
export { readEnvironment } from "./environment.ts";
export type { Environment, EnvironmentResult, Machine, SmtpListener } from "./environment.ts";
export { IdleClock } from "./idle-clock.ts";
export type { IdleWatch } from "./idle-clock.ts";
export { adminToken, existingSecretKey, kept, secretKey } from "./kept-secrets.ts";
export type { AdminToken } from "./kept-secrets.ts";
export type { Log } from "./log.ts";
export { Roster } from "./roster.ts";
export { requireDatabaseUrl, runProcess, StartError } from "./run.ts";
export type { ProcessContext, ProcessName, RunOptions } from "./run.ts";
export { senderSigning } from "./sender-signing.ts";
