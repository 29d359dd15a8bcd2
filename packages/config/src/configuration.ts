/**
 * The whole configuration: every resource by kind and name, and what must hold between them.
 * The kinds are listed once, here; store, API and snapshot go by this list.
 */
import type { z } from "zod";
import { type Client, clientSchema } from "./client.ts";
import { type Domain, domainSchema } from "./domain.ts";
import { domainPattern, resourceName, userName } from "./names.ts";
import { DEFAULT_RELAY, type Relay, relaySchema } from "./relay.ts";
import { type Condition, type Rule, ruleSchema } from "./rule.ts";
import { type Settings, SETTINGS_NAME, settingsName, settingsSchema } from "./settings.ts";
import { type User, userSchema } from "./user.ts";

/** Each kind of resource: the schema of its name and of its definition. */
export const resourceKinds = {
  relays: { singular: "relay", name: resourceName, schema: relaySchema },
  domains: { singular: "domain", name: domainPattern, schema: domainSchema },
  clients: { singular: "client", name: resourceName, schema: clientSchema },
  users: { singular: "user", name: userName, schema: userSchema },
  rules: { singular: "rule", name: resourceName, schema: ruleSchema },
  settings: { singular: "settings", name: settingsName, schema: settingsSchema },
} as const satisfies Record<string, { singular: string; name: z.ZodType; schema: z.ZodType }>;

/** `relays`, `domains`, …: as in the API's paths. */
export type ResourceKind = keyof typeof resourceKinds;

/** The definition of a resource of kind K, as its schema gives it out. */
export type Resource<K extends ResourceKind = ResourceKind> = z.output<
  (typeof resourceKinds)[K]["schema"]
>;

/** The whole configuration as of one version. */
export interface Configuration {
  readonly version: number;
  readonly relays: ReadonlyMap<string, Relay>;
  readonly domains: ReadonlyMap<string, Domain>;
  readonly clients: ReadonlyMap<string, Client>;
  readonly users: ReadonlyMap<string, User>;
  readonly rules: ReadonlyMap<string, Rule>;
  /** Empty, or the one set of settings under the name `gateway`. */
  readonly settings: ReadonlyMap<string, Settings>;
}

/** One resource that points at another. */
export interface Reference {
  readonly from: { readonly kind: ResourceKind; readonly name: string; readonly pointer: string };
  readonly to: { readonly kind: ResourceKind; readonly name: string };
}

/** What the resource points at; the store refuses a change that leaves one pointing at nothing. */
export function referencesOf(kind: ResourceKind, name: string, resource: Resource): Reference[] {
  const found: Reference[] = [];
  const refer = (to: ResourceKind, target: string, pointer: string) => {
    found.push({ from: { kind, name, pointer }, to: { kind: to, name: target } });
  };
  if (kind === "domains") {
    const { relay, policy } = resource as Domain;
    refer("relays", relay, "/relay");
    policy?.clients?.forEach((client, index) =>
      refer("clients", client, `/policy/clients/${index}`)
    );
  } else if (kind === "relays") {
    const relay = resource as Relay;
    if (relay.kind === "split") {
      relay.relays.forEach((part, index) => refer("relays", part.relay, `/relays/${index}/relay`));
    }
  } else if (kind === "rules") {
    const { match, actions } = resource as Rule;
    clientsIn(match, "/match", (client, pointer) => refer("clients", client, pointer));
    actions.forEach((action, index) => {
      if (action.do === "relay") refer("relays", action.relay, `/actions/${index}/relay`);
    });
  }
  return found;
}

/** The clients that a condition names, each with a pointer to where. */
function clientsIn(
  condition: Condition,
  pointer: string,
  found: (client: string, pointer: string) => void,
): void {
  if ("not" in condition) clientsIn(condition.not, `${pointer}/not`, found);
  else if ("client" in condition) {
    condition.client.forEach((name, index) => found(name, `${pointer}/client/${index}`));
  } else {
    for (const key of ["all", "any"] as const) {
      const parts = (condition as { readonly [key]?: readonly Condition[] })[key] ?? [];
      parts.forEach((part, index) => clientsIn(part, `${pointer}/${key}/${index}`, found));
    }
  }
}

/** Resources that are part of every configuration: they can be replaced and never deleted. */
export function isBuiltIn(kind: ResourceKind, name: string): boolean {
  return kind === "relays" && name === DEFAULT_RELAY ||
    kind === "settings" && name === SETTINGS_NAME;
}
