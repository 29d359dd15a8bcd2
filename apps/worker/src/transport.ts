/**
 * How a delivery is made, by the kind of its relay: one transport for each destination, which keeps
 * sessions between deliveries where the kind has sessions.
 *
 * This file must not know queues, retries or how many deliveries go at once: that is the lane's.
 */
import type { Relay } from "@postern/config";
import type { MailParameters } from "@postern/smtp";
import { type ClaimedDelivery, REFUSED_RELAY } from "@postern/store";
import type { Delivering } from "./delivering.ts";
import { deliverByHttp } from "./http-transport.ts";
import type { Tell } from "./progress.ts";
import { SmtpTransport } from "./smtp-transport.ts";
import { type Attempt, TOO_LATE, type Verdict, verdictForAll } from "./verdict.ts";

/** Makes the deliveries to one destination. */
export class Transport {
  readonly #delivering: Delivering;
  readonly #smtp: SmtpTransport;

  constructor(delivering: Delivering) {
    this.#delivering = delivering;
    this.#smtp = new SmtpTransport(delivering);
  }

  /** Whether no session is kept, so that nothing is lost by letting the transport go. */
  get isIdle(): boolean {
    return this.#smtp.isIdle;
  }

  /**
   * Makes one attempt. Several may be under way at once, each over a session of its own. `relay` is
   * the relay's definition in force; undefined where the configuration has it no longer. `isHeld`
   * tells whether the claim is still this worker's: where it is not, no content is ended
   * and nothing is posted. `tell` hears of verdicts while others are still to come.
   */
  async deliver(
    delivery: ClaimedDelivery,
    relay: Relay | undefined,
    isHeld: () => boolean,
    tell: Tell = () => {},
  ): Promise<Attempt> {
    const { relay: name } = delivery.destination;
    const all = (status: Verdict["status"], reply: string, owed?: "delivered"): Attempt => ({
      verdicts: verdictForAll(delivery, status, reply, owed),
      facts: { relay: name, seconds: 0 },
    });
    const untried = (reply: string): Attempt => ({ ...all("never", reply), isUntried: true });
    const astray = (reply: string): Attempt => ({
      ...all("later", reply),
      destinationFailure: reply,
    });
    if (isTooLate(delivery, this.#delivering.now())) {
      return untried(TOO_LATE);
    }
    if (name === REFUSED_RELAY) {
      const verdicts = delivery.recipients.map(({ ordinal, treatment }) => ({
        ordinal,
        status: "never" as const,
        reply: treatment.refusal ?? "550 5.7.1 Refused by policy",
      }));
      return { verdicts, facts: { relay: name, seconds: 0 }, isUntried: true };
    }
    switch (relay?.kind) {
      case "smtp":
      case "mx":
      case "lmtp":
        return await this.#smtp.deliver(delivery, relay, isHeld, tell);
      case "http":
        // Told at its end: what is repeated has the same keys as long as the recipients are the same.
        return await deliverByHttp(delivery, relay, this.#delivering, isHeld);
      case "capture":
        return all("delivered", "250 2.0.0 Captured", "delivered");
      case "discard":
        return all("delivered", "250 2.0.0 Discarded");
      case "reject":
        return untried(`${relay.code} ${relay.enhanced} ${relay.text}`);
      case "split":
        // Routing chooses one of its relays, so that a destination is never a split one.
        return astray(`451 4.3.5 The relay ${name} has become one that splits`);
      case undefined:
        return astray(`451 4.3.5 The relay ${name} is not configured`);
    }
  }

  /** Ends the sessions that are kept, and from now on each session with its delivery. */
  close(): void {
    this.#smtp.close();
  }
}

/** RFC 2852 §4.1.4: in mode R, what is not delivered in time is returned instead. */
function isTooLate({ parameters, receivedAt }: ClaimedDelivery, now: Date): boolean {
  const { deliverBy } = parameters as MailParameters;
  if (deliverBy?.mode !== "return") return false;
  return now.getTime() >= receivedAt.getTime() + deliverBy.seconds * 1000;
}
