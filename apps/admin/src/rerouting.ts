/** The new ways of recipients that an administrator sends elsewhere. */
import { canonicalDomain } from "@postern/config";
import { routeMailbox, type Snapshot } from "@postern/routing";
import type { NewWay } from "@postern/store";
import { Problem } from "./problem.ts";

/**
 * The way of each recipient by a relay or, without one, by its domain. Rules were applied when the
 * message came in, and the stored address is what they made of it: they are not applied again.
 *
 * @throws {Problem} 422 when there is no such relay, or it takes no mail
 */
export function rerouting(
  snapshot: Snapshot,
  paths: readonly string[],
  relay: string | undefined,
): Map<string, NewWay> {
  const kind = relay === undefined ? undefined : snapshot.relays.get(relay)?.kind;
  if (relay !== undefined && (kind === undefined || kind === "split" || kind === "reject")) {
    const detail = kind === undefined
      ? `there is no relay ${relay}`
      : `${relay} is of kind ${kind}: name a relay that delivers`;
    throw new Problem(422, "Invalid", "The body is not valid", {
      errors: [{ pointer: "/relay", detail }],
    });
  }
  const ways = new Map<string, NewWay>();
  for (const path of paths) {
    const destination = relay === undefined
      ? routeMailbox(snapshot, path)
      : { relay, nextHop: kind === "mx" ? domainOf(path) : "" };
    if (destination === undefined) throw noWay(path);
    const { version } = snapshot;
    const decision = { relay: destination.relay, reasons: [], version };
    ways.set(path, { destination, decision });
  }
  return ways;
}

function domainOf(path: string): string {
  const text = path.slice(path.lastIndexOf("@") + 1);
  return text.startsWith("[") ? text : canonicalDomain(text) ?? text;
}

function noWay(path: string): Problem {
  return new Problem(409, "Conflict", `The configuration has no way for ${path}`);
}
