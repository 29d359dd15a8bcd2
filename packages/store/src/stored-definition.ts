/**
 * Definitions as they lie in the store, read by today's schemas, which may not take what another release
 * stored. To decide about mail without a definition could let pass what it forbids, or refuse what it
 * allows: such a configuration is in force nowhere until it is mended, and says what is at fault.
 */
import { type Resource, type ResourceKind, resourceKinds } from "@postern/config";

/** What is read: the definition, and why it does not parse, where it does not. */
export interface ReadDefinition {
  readonly resource: Resource;
  readonly fault?: string;
}

/** The configuration in force has definitions that do not parse; the message names them. */
export class UnreadableConfiguration extends Error {
  override readonly name = "UnreadableConfiguration";

  constructor(faults: Iterable<string>) {
    super(`${[...faults].join("; ")}: put anew or delete over the API what is at fault`);
  }
}

/**
 * What takes the place of a definition that does not parse while others are changed: by it references
 * hold, and one that is put anew is told from it.
 */
const STAND_INS: Readonly<Record<ResourceKind, unknown>> = {
  relays: { kind: "reject", text: "Stands for a definition that does not parse" },
  domains: { relay: "default" },
  clients: { networks: ["192.0.2.0/32"] },
  users: { disabled: true },
  rules: { description: "Stands for what does not parse", actions: [{ do: "stop" }] },
  settings: {},
};

/** Reads a definition; what an older release stored gets the defaults of what it did not know. */
export function readDefinition(kind: ResourceKind, name: string, body: unknown): ReadDefinition {
  const { schema, singular } = resourceKinds[kind];
  const parsed = schema.safeParse(body);
  if (parsed.success) return { resource: parsed.data as Resource };
  const issues = parsed.error.issues.map(({ path, message }) =>
    `/${path.map(String).join("/")}: ${message}`
  );
  const fault = `${singular} ${name} as it is stored does not parse (${issues.join(", ")})`;
  return { resource: schema.parse(STAND_INS[kind]) as Resource, fault };
}
