/** The whole configuration as one document, for files in git and for replacing it whole. */
import { z } from "zod";
import type { Definitions } from "./changes.ts";
import { clientSchema } from "./client.ts";
import { type Resource, type ResourceKind, resourceKinds } from "./configuration.ts";
import { domainSchema } from "./domain.ts";
import { domainPattern, resourceName, userName } from "./names.ts";
import { DEFAULT_RELAY, relaySchema } from "./relay.ts";
import { ruleSchema } from "./rule.ts";
import { defaultSettings, SETTINGS_NAME, settingsSchema } from "./settings.ts";
import { userSchema } from "./user.ts";
import { withoutSecrets } from "./secret-fields.ts";

/** The relay `default` of a gateway where nobody has defined another. */
export const defaultRelay = relaySchema.parse({ kind: "mx" });

/** The document: definitions by name under each kind, and the one set of settings. */
export const documentSchema = z
  .strictObject({
    settings: settingsSchema.optional(),
    relays: z.record(resourceName, relaySchema).optional(),
    domains: z.record(domainPattern, domainSchema).optional(),
    clients: z.record(resourceName, clientSchema).optional(),
    users: z.record(userName, userSchema).optional(),
    rules: z.record(resourceName, ruleSchema).optional(),
  })
  .meta({
    id: "Configuration",
    description: "Definitions by name. The relay default and the settings have their defaults " +
      "where the document does not have them",
    examples: [{
      relays: { internal: { kind: "smtp", hosts: [{ host: "10.0.0.5" }] } },
      domains: { "example.com": { relay: "internal" } },
    }],
  });

/** @see documentSchema */
export type ConfigurationDocument = z.output<typeof documentSchema>;

/** The definitions of a document, with what is part of every configuration. */
export function definitionsOf(document: ConfigurationDocument): Definitions {
  const maps = Object.fromEntries(
    (Object.keys(resourceKinds) as ResourceKind[]).map((kind) => [
      kind,
      kind === "settings"
        ? new Map([[SETTINGS_NAME, document.settings ?? defaultSettings]])
        : new Map<string, Resource>(Object.entries(document[kind] ?? {})),
    ]),
  ) as unknown as Record<ResourceKind, Map<string, Resource>>;
  if (!maps.relays.has(DEFAULT_RELAY)) maps.relays.set(DEFAULT_RELAY, defaultRelay);
  return maps;
}

/** The document of a configuration, without its secrets; names in order, so that files compare. */
export function documentOf(definitions: Definitions): ConfigurationDocument {
  const byName = (kind: ResourceKind) =>
    Object.fromEntries(
      [...definitions[kind]].sort(([a], [b]) => a < b ? -1 : 1)
        .map(([name, body]) => [name, withoutSecrets(kind, body)]),
    );
  return {
    settings:
      (definitions.settings.get(SETTINGS_NAME) ?? defaultSettings) as typeof defaultSettings,
    ...Object.fromEntries(
      (["relays", "domains", "clients", "users", "rules"] as const).map((kind) => [
        kind,
        byName(kind),
      ]),
    ),
  };
}
