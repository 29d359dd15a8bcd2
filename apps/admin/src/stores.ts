/** The repositories that the API works with, opened together. */
import { problemsOf } from "@postern/routing";
import {
  type ActionOutcome,
  actOnMessage,
  type AuditEntry,
  type AuditLog,
  type ConfigurationHistory,
  type ConfigurationStore,
  type Database,
  type DestinationQuery,
  type DestinationSummary,
  flushDestination,
  type IdempotencyKeys,
  KnownRecipients,
  listDestinations,
  type MessageAction,
  type MessageStore,
  openAuditLog,
  openConfiguration,
  openConfigurationHistory,
  openIdempotencyKeys,
  openMessages,
  openRecipientLists,
  openTokens,
  pauseDestination,
  recentEnvelopes,
  type RecipientLists,
  resumeDestination,
  type StoredEnvelope,
  type TokenStore,
} from "@postern/store";

/** What administrators do to the queue. */
export interface QueueStore {
  act(id: string, action: MessageAction): Promise<ActionOutcome>;
  destinations(query: DestinationQuery): Promise<DestinationSummary[]>;
  /** The newest messages that came in, a batch at a time. */
  envelopes(
    wanted: { readonly count: number; readonly withContent: boolean },
  ): AsyncIterable<readonly StoredEnvelope[]>;
  /** Each answers false when there is no such destination. */
  pause(destination: number, audit: AuditEntry): Promise<boolean>;
  resume(destination: number, audit: AuditEntry): Promise<boolean>;
  flush(destination: number, audit: AuditEntry): Promise<boolean>;
}

/** The repositories. */
export interface Stores {
  readonly configuration: ConfigurationStore;
  readonly history: ConfigurationHistory;
  readonly messages: MessageStore;
  readonly recipientLists: RecipientLists;
  readonly tokens: TokenStore;
  readonly audit: AuditLog;
  readonly idempotencyKeys: IdempotencyKeys;
  readonly knownRecipients: Pick<KnownRecipients, "known">;
  readonly queue: QueueStore;
}

/** Opens them over one database. */
export function openStores(database: Database): Stores {
  return {
    configuration: openConfiguration(database, { examine: problemsOf }),
    history: openConfigurationHistory(database),
    messages: openMessages(database),
    recipientLists: openRecipientLists(database),
    tokens: openTokens(database),
    audit: openAuditLog(database),
    idempotencyKeys: openIdempotencyKeys(database),
    knownRecipients: new KnownRecipients(database),
    queue: {
      act: (id, action) => actOnMessage(database, id, action),
      destinations: (query) => listDestinations(database, query),
      envelopes: (wanted) => recentEnvelopes(database, wanted),
      pause: (id, audit) => pauseDestination(database, id, audit),
      resume: (id, audit) => resumeDestination(database, id, audit),
      flush: async (id, audit) => await flushDestination(database, id, audit) !== undefined,
    },
  };
}
