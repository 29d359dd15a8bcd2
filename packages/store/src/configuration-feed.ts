/**
 * Follows the configuration: hands out the one in force and each one after it, by NOTIFY within
 * milliseconds, by asking now and then should a notification be lost.
 */
import type { Configuration } from "@postern/config";
import { CONFIGURATION_CHANNEL } from "./channels.ts";
import { openConfiguration } from "./configuration.ts";
import type { Database } from "./connection.ts";

/** A running feed. */
export interface ConfigurationFeed {
  stop(): Promise<void>;
}

/** What a feed calls, and how often it asks. */
export interface ConfigurationFeedOptions {
  readonly onConfiguration: (configuration: Configuration) => void;
  /** The configuration could not be read; the last one stays in force. */
  readonly onError: (error: unknown) => void;
  /** Milliseconds between two questions; default 15,000. */
  readonly pollMilliseconds?: number;
}

/** Calls `onConfiguration` once before it resolves, then after each change. */
export async function followConfiguration(
  database: Database,
  { onConfiguration, onError, pollMilliseconds = 15_000 }: ConfigurationFeedOptions,
): Promise<ConfigurationFeed> {
  const store = openConfiguration(database);
  let version = -1;
  let wanted = false;
  let reading: Promise<void> | undefined;

  const read = async () => {
    while (wanted) {
      wanted = false;
      const current = await store.currentVersion();
      if (current === version) continue;
      const configuration = await store.load();
      version = configuration.version;
      onConfiguration(configuration);
    }
  };
  const refresh = () => {
    wanted = true;
    reading ??= read().catch(onError).finally(() => {
      reading = undefined;
      if (wanted) refresh();
    });
  };

  wanted = true;
  await read();
  const timer = setInterval(refresh, pollMilliseconds);
  const listening = database.sql.listen(CONFIGURATION_CHANNEL, refresh, refresh);
  listening.catch(onError);
  return {
    stop: async () => {
      clearInterval(timer);
      wanted = false;
      await listening.then((subscription) => subscription.unlisten()).catch(onError);
      await reading;
    },
  };
}
