/** The repositories that the API works with, opened together. */
import { problemsOf } from "@postern/routing";
import {
  type AuditLog,
  type ConfigurationHistory,
  type ConfigurationStore,
  type Database,
  type IdempotencyKeys,
  type MessageStore,
  openAuditLog,
  openConfiguration,
  openConfigurationHistory,
  openIdempotencyKeys,
  openMessages,
  openRecipientLists,
  openTokens,
  type RecipientLists,
  type TokenStore,
} from "@postern/store";

/** The repositories. */
export interface Stores {
  readonly configuration: ConfigurationStore;
  readonly history: ConfigurationHistory;
  readonly messages: MessageStore;
  readonly recipientLists: RecipientLists;
  readonly tokens: TokenStore;
  readonly audit: AuditLog;
  readonly idempotencyKeys: IdempotencyKeys;
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
  };
}
