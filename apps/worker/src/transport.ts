/**
 * How a delivery is made, by the kind of its relay: one transport for each destination, which keeps
 * sessions between deliveries where the kind has sessions.
 *
 * This file must not know queues, retries or how many deliveries go at once: that is the lane's.
 */
import type { Relay } from "@postern/config";
import type { ClaimedDelivery } from "@postern/store";
import type { Delivering } from "./delivering.ts";
import { SmtpTransport } from "./smtp-transport.ts";
import { type Attempt, type Verdict, verdictForAll } from "./verdict.ts";

/** Makes the deliveries to one destination. */
export class Transport {
  readonly #smtp: SmtpTransport;

  constructor(delivering: Delivering) {
    this.#smtp = new SmtpTransport(delivering);
  }

  /** Whether no session is kept, so that nothing is lost by letting the transport go. */
  get isIdle(): boolean {
    return this.#smtp.isIdle;
  }

  /**
   * Makes one attempt. Several may be under way at once, each over a session of its own. `relay` is
   * the relay's definition in force; undefined where the configuration has it no longer.
   */
  async deliver(delivery: ClaimedDelivery, relay: Relay | undefined): Promise<Attempt> {
    const { relay: name } = delivery.destination;
    const all = (status: Verdict["status"], reply: string): Attempt => ({
      verdicts: verdictForAll(delivery, status, reply),
      facts: { relay: name, seconds: 0 },
    });
    switch (relay?.kind) {
      case "smtp":
      case "mx":
        return await this.#smtp.deliver(delivery, relay);
      case "capture":
        return all("delivered", "250 2.0.0 Captured");
      case "discard":
        return all("delivered", "250 2.0.0 Discarded");
      case undefined:
        return all("later", `451 4.3.5 The relay ${name} is not configured`);
      default:
        return all("later", `451 4.3.5 Relays of kind ${relay!.kind} are not served yet`);
    }
  }

  /** Ends the sessions that are kept, and from now on each session with its delivery. */
  close(): void {
    this.#smtp.close();
  }
}
