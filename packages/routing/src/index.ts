/** Routing: which way each recipient's copy goes, decided from a snapshot of the configuration. */
export { isSameAddress } from "./addresses.ts";
export { decide, type DecideOptions } from "./decide.ts";
export type * from "./decision.ts";
export type * from "./facts.ts";
export { canonicalIp } from "./networks.ts";
export { routeMailbox, routeOwn } from "./own-mail.ts";
export { type Problem, problemsOf } from "./problems.ts";
export {
  mayRelay,
  messageSizeFor,
  recipientsFor,
  refuseSender,
  type SenderLimit,
  senderLimits,
  senderOf,
} from "./sender.ts";
export { clientAt, compile, domainAt, identifyClient, type Snapshot } from "./snapshot.ts";
export {
  type Difference,
  explain,
  type ExplainedRecipient,
  type ExplainRequest,
  type ExplainSurroundings,
  replay,
} from "./explain.ts";
