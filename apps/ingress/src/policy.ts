/** What a session's recipients are answered: routing's decision, as a reply or as a way to go. */
import { clientAt, decide, type Refusal, type Snapshot } from "@postern/routing";
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
  const known = new Map<string, boolean>();
  const facts = {
    session: { address, client: clientAt(snapshot, address), tls: false, helo: "" },
    reversePath: "",
    forwardPath: path.address,
    time: new Date(),
    hostname,
    known,
  };
  let decision = decide(snapshot, facts);
  if (decision.action === "ask") {
    known.set(decision.question.address, true);
    decision = decide(snapshot, facts);
  }
  if (decision.action === "ask") throw new Error("a question is asked again");
  if (decision.action !== "deliver") {
    return { accepted: false, reply: refusalReply(decision, path) };
  }
  const [copy] = decision.copies;
  const { relay, nextHop, forwardPath } = copy!;
  const { reasons } = decision;
  return {
    accepted: true,
    recipient: { forwardPath, destination: { relay, nextHop }, decision: { relay, reasons } },
  };
}

function refusalReply({ code, enhanced, text }: Refusal, path: ForwardPath): Reply {
  return reply(code, enhanced as `5.${number}.${number}`, `<${path.address}>: ${text}`);
}
