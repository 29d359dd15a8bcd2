/** Who makes a request: the token that it bears, and the address that it comes from. */
import type { Context } from "hono";
import type { Scope } from "@postern/api";
import type { AuditEntry } from "@postern/store";

/** The token of a request. */
export interface Principal {
  /** Tells tokens apart even when one follows another under the same name. */
  readonly id: string;
  /** The token's name, as versions and the audit log show it. */
  readonly name: string;
  readonly scopes: ReadonlySet<Scope>;
  /** When the token ends; null when never. */
  readonly expiresAt: Date | null;
}

/** What the server tells the app of a request's connection. */
export interface Connection {
  /** The address of the other side. */
  readonly address?: string;
}

/** Remembers who makes the request. */
export function setPrincipal(context: Context, principal: Principal): void {
  context.set("principal", principal);
}

/** Who makes the request, which was authenticated. */
export function principalOf(context: Context): Principal {
  const principal = context.get("principal") as Principal | undefined;
  if (principal === undefined) throw new TypeError("the request was not authenticated");
  return principal;
}

/** The address that the request comes from, where the server tells. */
export function addressOf(context: Context): string | undefined {
  return (context.env as Connection | undefined)?.address;
}

/** Who makes the request and from where, as the audit log takes it. */
export function actorOf(context: Context): {
  readonly actor: string;
  readonly address: string | undefined;
} {
  return { actor: principalOf(context).name, address: addressOf(context) };
}

/** What the audit log is to say of the request: that it did this, `thing.verb`, to what it names. */
export function auditEntryOf(context: Context, action: string): AuditEntry {
  const target = context.req.path.replace("/v1/", "").slice(0, 500);
  return { ...actorOf(context), action, target };
}
