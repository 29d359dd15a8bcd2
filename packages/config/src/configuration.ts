/**
 * The whole configuration: every resource by kind and name, and what must hold between them.
 * The kinds are listed once, here; store, API and snapshot go by this list.
 */
import type { z } from "zod";
import { type Client, clientSchema } from "./client.ts";
import { type Domain, domainSchema } from "./domain.ts";
import { domainName, resourceName } from "./names.ts";
import { DEFAULT_RELAY, type Relay, relaySchema } from "./relay.ts";

/** Each kind of resource: the schema of its name and of its definition. */
export const resourceKinds = {
  relays: { singular: "relay", name: resourceName, schema: relaySchema },
  domains: { singular: "domain", name: domainName, schema: domainSchema },
  clients: { singular: "client", name: resourceName, schema: clientSchema },
} as const satisfies Record<string, { singular: string; name: z.ZodType; schema: z.ZodType }>;

/** `relays`, `domains`, `clients`: as in the API's paths. */
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
}

/** One resource that points at another. */
export interface Reference {
  readonly from: { readonly kind: ResourceKind; readonly name: string; readonly pointer: string };
  readonly to: { readonly kind: ResourceKind; readonly name: string };
}

/** What the resource points at; the store refuses a change that leaves one pointing at nothing. */
export function referencesOf(kind: ResourceKind, name: string, resource: Resource): Reference[] {
  if (kind !== "domains") return [];
  const { relay } = resource as Domain;
  return [{ from: { kind, name, pointer: "/relay" }, to: { kind: "relays", name: relay } }];
}

/** Resources that are part of every configuration: they can be replaced and never deleted. */
export function isBuiltIn(kind: ResourceKind, name: string): boolean {
  return kind === "relays" && name === DEFAULT_RELAY;
}
