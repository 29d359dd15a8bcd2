/** Answers to whether a recipient exists: from the domain's list, or by asking its mail host. */
import type { Question, Snapshot } from "@postern/routing";
import type { KnownRecipients } from "@postern/store";
import type { Callouts, Patience } from "./callouts.ts";

/** Answers routing's questions. */
export class RecipientChecks {
  readonly #lists: Pick<KnownRecipients, "known">;
  readonly #callouts: Pick<Callouts, "ask">;

  constructor(lists: Pick<KnownRecipients, "known">, callouts: Pick<Callouts, "ask">) {
    this.#lists = lists;
    this.#callouts = callouts;
  }

  /** @throws when Postgres is away (`isUnavailable`). */
  ask(snapshot: Snapshot, question: Question, patience?: Patience): Promise<boolean> {
    const { kind, domain, address } = question;
    return kind === "list"
      ? this.#lists.known(snapshot.version, domain, address)
      : this.#callouts.ask(snapshot, question, patience);
  }
}
