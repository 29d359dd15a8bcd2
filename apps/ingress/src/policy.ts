/** What a session's recipients are answered: routing's decision, as a reply or as a way to go. */
import { clientAt, decide, type Snapshot } from "@postern/routing";
import { type ForwardPath, type Reply, reply } from "@postern/smtp";
import type { AcceptedRecipient } from "@postern/store";

/** A recipient that may come in with the way it will go, or the reply that refuses it. */
export type Verdict =
  | { readonly accepted: true; readonly recipient: Omit<AcceptedRecipient, "parameters"> }
  | { readonly accepted: false; readonly reply: Reply };

/** Decides for one forward-path of a session that comes from `address`. */
export function judgeRecipient(
  snapshot: Snapshot,
  { address, hostname }: { readonly address: string; readonly hostname: string },
  path: ForwardPath,
): Verdict {
  const forwardPath = path.kind === "postmaster"
    ? `postmaster@${postmasterDomain(snapshot, hostname)}`
    : path.address;
  const decision = decide(snapshot, { client: clientAt(snapshot, address) }, forwardPath);
  if (decision.action === "reject") {
    return {
      accepted: false,
      reply: reply(decision.code, decision.enhanced, `<${forwardPath}>: ${decision.text}`),
    };
  }
  const { relay, nextHop, reasons } = decision;
  return {
    accepted: true,
    recipient: { forwardPath, destination: { relay, nextHop }, decision: { relay, reasons } },
  };
}

/**
 * The domain that `<postmaster>` alone stands for (RFC 5321 §4.5.1): our own name, or the nearest
 * domain above it that is a domain of ours.
 */
function postmasterDomain(snapshot: Snapshot, hostname: string): string {
  const labels = hostname.toLowerCase().split(".");
  for (let first = 0; first < labels.length; first += 1) {
    const domain = labels.slice(first).join(".");
    if (snapshot.domains.has(domain)) return domain;
  }
  return hostname;
}
