/** The repositories that the API works with, opened together. */
import {
  type ConfigurationStore,
  type Database,
  type MessageStore,
  openConfiguration,
  openMessages,
  openRecipientLists,
  type RecipientLists,
} from "@postern/store";

/** The repositories. */
export interface Stores {
  readonly configuration: ConfigurationStore;
  readonly messages: MessageStore;
  readonly recipientLists: RecipientLists;
}

/** Opens them over one database. */
export function openStores(database: Database): Stores {
  return {
    configuration: openConfiguration(database),
    messages: openMessages(database),
    recipientLists: openRecipientLists(database),
  };
}
