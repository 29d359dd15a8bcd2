/**
 * One mail transaction as the server session builds it up: the envelope, and its counts.
 *
 * This file must not know replies or states.
 */
import type { Envelope, EnvelopeRecipient, MailParameters, RcptParameters } from "../envelope.ts";
import { formatPath } from "../path.ts";
import type { ForwardPath, ReversePath } from "../path-types.ts";

/** An open transaction. */
export class Transaction {
  readonly reversePath: ReversePath;
  readonly parameters: MailParameters;
  /** Whether the adapter was told that it is dropped. */
  discarded = false;
  readonly #recipients: EnvelopeRecipient[] = [];
  readonly #domains = new Set<string>();

  constructor(reversePath: ReversePath, parameters: MailParameters) {
    this.reversePath = reversePath;
    this.parameters = parameters;
  }

  /** Accepted recipients. */
  get recipients(): number {
    return this.#recipients.length;
  }

  /** How many different domains there would be with one more recipient. */
  domainsWith(path: ForwardPath): number {
    const known = path.kind === "postmaster" || this.#domains.has(path.domain.ascii);
    return this.#domains.size + (known ? 0 : 1);
  }

  /**
   * Adds an accepted recipient. `via` is our own name as it stood at the front of its source route:
   * mail that goes on by a route carries the way back in its reverse-path (RFC 821 §3.6).
   */
  add(path: ForwardPath, parameters: RcptParameters, via: string | undefined): void {
    if (path.kind === "mailbox") this.#domains.add(path.domain.ascii);
    const forwardPath = formatPath(path);
    if (via === undefined || this.reversePath.kind === "null") {
      this.#recipients.push({ forwardPath, parameters });
      return;
    }
    const back = {
      ...this.reversePath,
      sourceRoute: [via, ...this.reversePath.sourceRoute],
    };
    this.#recipients.push({ forwardPath, parameters, reversePath: formatPath(back) });
  }

  /** The envelope as it is now. */
  envelope(): Envelope {
    return {
      reversePath: formatPath(this.reversePath),
      parameters: this.parameters,
      recipients: [...this.#recipients],
    };
  }
}
