/** A snapshot: an immutable, compiled version of the whole configuration. */
import {
  type Configuration,
  DEFAULT_RELAY,
  defaultSettings,
  type Domain,
  type Relay,
  relaySchema,
  type Settings,
  SETTINGS_NAME,
} from "@postern/config";
import { compileNetworks, type NetworkTable } from "./networks.ts";

/** What decisions are made from. Make one with {@link compile}, never change it. */
export interface Snapshot {
  readonly version: number;
  readonly domains: ReadonlyMap<string, Domain>;
  readonly relays: ReadonlyMap<string, Relay>;
  readonly clientNetworks: NetworkTable;
  readonly settings: Settings;
}

/** Compiles a configuration. */
export function compile(configuration: Configuration): Snapshot {
  const relays = new Map(configuration.relays);
  if (!relays.has(DEFAULT_RELAY)) relays.set(DEFAULT_RELAY, relaySchema.parse({ kind: "mx" }));
  const networks = [...configuration.clients].flatMap(([name, client]) =>
    client.networks.map((network) => [network, name] as const)
  );
  return {
    version: configuration.version,
    domains: configuration.domains,
    relays,
    clientNetworks: compileNetworks(networks),
    settings: configuration.settings.get(SETTINGS_NAME) ?? defaultSettings,
  };
}
