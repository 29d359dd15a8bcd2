/**
 * Whether a recipient's outcome concerns the sender: which report is owed about it (RFC 3461 §5.2,
 * RFC 2852 §4.1.4). Pure.
 */
import type { RetrySchedule } from "@postern/config";
import type { DsnAction } from "@postern/message";
import type { MailParameters, Notify, RcptParameters } from "@postern/smtp";
import type { ClaimedDelivery, ClaimedRecipient, Overdue, RecipientOutcome } from "@postern/store";
import { delayNoticeOf } from "./retry.ts";
import type { Verdict } from "./verdict.ts";

/** One recipient that a report is owed about. */
export interface Concern {
  readonly recipient: ClaimedRecipient;
  readonly action: DsnAction;
  /** What is recorded of it. */
  readonly reply: string;
  /** The next hop's own words; absent where it said nothing. */
  readonly said?: { readonly host: string; readonly text: string };
  readonly willRetryUntil?: Date;
}

/** The report that is owed about a recipient: none or one. */
export function concern(
  delivery: ClaimedDelivery,
  recipient: ClaimedRecipient,
  { state, reply }: RecipientOutcome,
  { owed, said, schedule, now, overdue }: {
    readonly owed?: Verdict["owed"];
    readonly said?: NonNullable<Concern["said"]>;
    readonly schedule: RetrySchedule;
    readonly now: Date;
    /** What the queue found to be over; its clock counts. */
    readonly overdue?: Overdue;
  },
): Concern[] {
  const { notify } = recipient.parameters as RcptParameters;
  const { deliverBy } = delivery.parameters as MailParameters;
  // A report about a report has nobody to go to: only what is lost for good matters then.
  const isReport = delivery.reversePath === "";
  const about = { recipient, reply, ...(said === undefined ? {} : { said }) };
  switch (state) {
    case "delivered": {
      if (owed === undefined || isReport) return [];
      const wanted = asksFor(notify, "SUCCESS") ||
        (owed === "relayed" && deliverBy !== undefined && notify !== "NEVER");
      return wanted ? [{ ...about, action: owed }] : [];
    }
    case "bounced": {
      const wanted = isReport || notify === undefined || asksFor(notify, "FAILURE");
      return wanted ? [{ ...about, action: "failed" }] : [];
    }
    case "deferred": {
      if (isReport || recipient.delayReported || notify === "NEVER") return [];
      const delayNotice = delayNoticeOf(schedule);
      const late = (from: Date, seconds: number) =>
        now.getTime() >= from.getTime() + seconds * 1000;
      const isLate = delayNotice !== undefined &&
        (overdue === "notice" || late(delivery.lifetimeFrom, delayNotice)) &&
        (notify === undefined || asksFor(notify, "DELAY"));
      const isPastTime = deliverBy?.mode === "notify" &&
        (overdue === "deliverBy" || late(delivery.receivedAt, deliverBy.seconds));
      if (!isLate && !isPastTime) return [];
      const willRetryUntil = new Date(delivery.lifetimeFrom.getTime() + schedule.lifetime * 1000);
      return [{ ...about, action: "delayed", willRetryUntil }];
    }
    default:
      return [];
  }
}

function asksFor(notify: Notify | undefined, what: "SUCCESS" | "FAILURE" | "DELAY"): boolean {
  return notify !== undefined && notify !== "NEVER" && notify.includes(what);
}
