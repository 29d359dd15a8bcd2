/**
 * The queue as workers use it: claim what is due, read content, record outcomes.
 *
 * A claim marks deliveries with the worker's process id. Outcomes are taken only for deliveries
 * that still carry that id: should others have taken this worker for dead and freed its claims,
 * what it records late is refused and nothing happens twice in the books. They also carry the number
 * of the attempt: an outcome whose commit was not heard of is recorded again, and that must not
 * become the outcome of the next attempt.
 *
 * A queue remembers in which lines something may be due (`due-lines.ts`) and what this worker has in
 * hand; everything else is in Postgres, where all workers share it.
 */
import type { DestinationLimits } from "@postern/config";
import { announced, Announcer } from "./announcer.ts";
import { QUEUE_CHANNEL } from "./channels.ts";
import { type Asked, type Look, mark, type Marked } from "./claim.ts";
import { claimLimited } from "./claim-limited.ts";
import type { Database } from "./connection.ts";
import { DestinationIds } from "./destination-ids.ts";
import { DestinationNews } from "./destination-news.ts";
import { feedbackOf, freeing, probeEnded } from "./destination-state.ts";
import type { LineKey } from "./due-lines.ts";
import { InHand } from "./in-hand.ts";
import { markOverdue, type WaitingTimes } from "./overdue.ts";
import { Lookout } from "./lookout.ts";
import { enterPart, type OutcomePart } from "./outcome-parts.ts";
import { enter } from "./outcomes.ts";
import { readPiece } from "./pieces.ts";
import type { ClaimedDelivery, DeliveryOutcome, Destination } from "./records.ts";
import { outcomeOfUnread, readMarked } from "./unread.ts";

/** What the configuration says of destinations; asked at each claim. */
export interface QueuePolicy {
  readonly limitsOf: (destination: Destination) => DestinationLimits | undefined;
}

/** What a worker asks for. */
export interface Claim {
  readonly workerId: number;
  /** At most so many in all. */
  readonly limit: number;
  /**
   * At most so many of this destination, which may be known to fail; 0 leaves it alone. As many as
   * there are when absent.
   */
  readonly room?: (destinationId: number, failing: boolean) => number;
  /** Only what has been due for so many milliseconds; with a priority above 0, all that is due. */
  readonly dueFor?: number;
}

/** The queue as a repository. */
export interface Queue {
  /**
   * Claims deliveries that are due: of each destination those with the highest priority, the longest
   * due first; of many destinations, from each in turn. None may be had though some are due: ask
   * again after {@link untilNextDue}.
   */
  claim(options: Claim): Promise<ClaimedDelivery[]>;
  /**
   * Claims deliveries that have waited too long without having their turn. They are to be seen to as
   * their `overdue` says, not tried.
   */
  claimOverdue(
    options: { readonly workerId: number; readonly limit: number; readonly times: WaitingTimes },
  ): Promise<ClaimedDelivery[]>;
  /** The content of a message, piece by piece. Throws when it is not all there. */
  readContent(messageId: string, size?: number): AsyncIterable<Uint8Array>;
  /** Records outcomes together; answers how many were refused because the claim was lost. */
  record(workerId: number, outcomes: readonly DeliveryOutcome[]): Promise<number>;
  /**
   * Records the recipients that are done of a delivery that goes on; answers whether they are: not
   * where the claim was lost. Its outcome, at its end, is that of the others.
   */
  recordPart(workerId: number, part: OutcomePart): Promise<boolean>;
  /** Gives claims back unchanged. Where that fails, the next claim begins with it. */
  release(
    workerId: number,
    deliveries: readonly Pick<ClaimedDelivery, "messageId" | "destinationId">[],
  ): Promise<void>;
  /** The limits of destinations may have changed: what they keep back is looked at anew. */
  limitsChanged(): void;
  /** Milliseconds until a claim may find something; as far as this process knows. */
  untilNextDue(room?: Claim["room"]): number;
  /**
   * Calls `wake` whenever something new may be due, and before it `accepted` with the number of
   * messages where clients handed in some.
   */
  onWork(
    wake: () => void,
    accepted?: (messages: number) => void,
  ): Promise<{ stop(): Promise<void> }>;
}

/** Destinations asked at once. */
const DESTINATIONS_AT_ONCE = 200;

/** Opens the queue. */
export function openQueue(
  { sql, pieces }: Database,
  { limitsOf }: QueuePolicy = { limitsOf: () => undefined },
): Queue {
  const destinations = new DestinationIds(sql);
  const announcer = new Announcer(sql);
  const lookout = new Lookout(sql);
  const { lines } = lookout;
  const inHand = new InHand();
  const concurrencyOf = (id: number) => limitsOf(destinations.of(id))?.concurrency;
  const destinationNews = new DestinationNews(sql, concurrencyOf);
  let inDoubt = false;
  let limitChanges = 0;
  /** Claims under way: what they have marked may not be in hand yet. */
  const claims = new Set<Promise<ClaimedDelivery[]>>();
  let settling: Promise<void> | undefined;

  const now = () => lookout.now();

  /** After a claim whose answer was lost: what is marked as ours and not in hand goes back. */
  async function settleDoubt(workerId: number): Promise<void> {
    // First: what comes to be in doubt meanwhile is settled by the next one.
    inDoubt = false;
    const known = inHand.of(workerId).map(({ messageId, destinationId, attempts }) => ({
      message: messageId,
      destination: destinationId,
      attempts,
    }));
    const isLost = sql`d.worker_id = ${workerId} and not exists (
      select 1 from json_to_recordset(${JSON.stringify(known)}::text::json)
        as k (message uuid, destination bigint, attempts int)
      where k.message = d.message_id and k.destination = d.destination_id
        and k.attempts = d.attempts)`;
    try {
      await sql`with ${freeing(sql, isLost)} select from freed`;
    } catch (error) {
      inDoubt = true;
      throw error;
    }
    lookout.lookSoon();
  }

  /** What was marked becomes deliveries in hand; what cannot be read is put off or taken out. */
  async function take(
    workerId: number,
    marked: readonly Marked[],
    probing: ReadonlySet<number>,
  ): Promise<ClaimedDelivery[]> {
    if (marked.length === 0) return [];
    const read = await readMarked(sql, marked);
    await destinations.recall(marked.map(({ destination }) => destination));
    const claimed: ClaimedDelivery[] = [];
    const unread: DeliveryOutcome[] = [];
    for (const [index, one] of marked.entries()) {
      const { delivery, error } = read[index]!;
      if (delivery === undefined) {
        unread.push(await outcomeOfUnread(sql, one, error));
        continue;
      }
      const { attempts, destination, overdue } = one;
      claimed.push({
        ...delivery,
        attempts,
        destination: destinations.of(destination),
        ...(overdue === undefined ? {} : { overdue }),
      });
    }
    if (unread.length > 0) await enter(sql, workerId, unread, destinations, []);
    const idleProbes = new Set(probing);
    for (const { destinationId } of claimed) idleProbes.delete(destinationId);
    if (idleProbes.size > 0) {
      await destinationNews.tell([...idleProbes].map(probeEnded));
      lookout.lookSoon();
    }
    // Not before all is done: what is not handed out must not count as in hand.
    for (const { messageId, destinationId, attempts } of claimed) {
      const probe = probing.has(destinationId);
      inHand.add({ workerId, messageId, destinationId, attempts, probe });
    }
    return claimed;
  }

  /** Runs a claim; should its answer be lost, the next one begins by giving back what is marked. */
  async function claiming(
    workerId: number,
    statements: () => Promise<ClaimedDelivery[]>,
  ): Promise<ClaimedDelivery[]> {
    while (inDoubt || settling !== undefined) {
      settling ??= Promise.allSettled(claims).then(() => settleDoubt(workerId))
        .finally(() => settling = undefined);
      await settling;
    }
    const claim = statements().catch((error) => {
      inDoubt = true;
      throw error;
    }).finally(() => claims.delete(claim));
    claims.add(claim);
    return await claim;
  }

  /** The lines to ask now: from many destinations a little, from few as much as there is room. */
  async function choose(limit: number, roomOf: NonNullable<Claim["room"]>) {
    const room = (id: number) => roomOf(id, lookout.fails(id));
    const taken = lines.take(now(), DESTINATIONS_AT_ONCE, (id) => room(id) > 0);
    await destinations.recall(taken.map(({ destination }) => destination));
    const share = Math.max(4, Math.ceil(2 * limit / Math.max(1, taken.length)));
    const free: Asked[] = [];
    const limited: Asked[] = [];
    const lower: LineKey[] = [];
    for (const { destination, priorities } of taken) {
      const count = Math.min(room(destination), share);
      const limits = limitsOf(destinations.of(destination));
      const isLimited = limits?.rate !== undefined || limits?.concurrency !== undefined;
      priorities.forEach((priority, index) => {
        // What is limited is asked line by line: its permits are for the first that has any.
        const line = { destination, priority };
        if (isLimited && index > 0) return void lower.push(line);
        const asked = { ...line, count, since: lookout.dueSince(line) };
        (isLimited ? limited : free).push(asked);
      });
    }
    return { free, limited, lower };
  }

  return {
    claim({ workerId, limit, room = () => limit, dueFor = 0 }) {
      return claiming(workerId, async () => {
        await lookout.refresh();
        const changesBefore = limitChanges;
        const { free, limited, lower } = await choose(limit, room);
        const asked = [...free, ...limited, ...lower];
        try {
          const marked: Marked[] = [];
          const probing = new Set<number>();
          const note = (some: { readonly marked: Marked[]; readonly looks: Look[] }) => {
            marked.push(...some.marked);
            for (const { probing: probes, destination } of some.looks) {
              if (probes) probing.add(destination);
            }
          };
          if (free.length > 0) {
            const some = await mark(sql, workerId, free, limit, dueFor);
            note(some);
            lookout.settle(free, { ...some, more: some.marked.length >= limit || dueFor > 0 });
          }
          if (limited.length > 0) {
            const left = limit - marked.length;
            const policy = (id: number) => limitsOf(destinations.of(id)) ?? {};
            const some = await claimLimited(sql, workerId, limited, left, dueFor, policy);
            note(some);
            lookout.settle(some.asked, { ...some, more: dueFor > 0 });
            // No lower line may be asked before a higher one that waits for a permit.
            for (const line of lower) lines.hear(line, now());
            for (const { line, wait } of some.waits) {
              lines.hear(line, now());
              // What limits say that changed meanwhile holds no more.
              if (limitChanges === changesBefore) lines.keep(line.destination, now() + wait);
            }
          }
          return await take(workerId, marked, probing);
        } catch (error) {
          for (const line of asked) lines.hear(line, now());
          throw error;
        }
      });
    },

    claimOverdue({ workerId, limit, times }) {
      return claiming(
        workerId,
        async () => await take(workerId, await markOverdue(sql, workerId, limit, times), new Set()),
      );
    },

    async *readContent(messageId, size) {
      let length = 0;
      for (let ordinal = 0; size === undefined || length < size; ordinal += 1) {
        const bytes = await pieces.run((connection) => readPiece(connection, messageId, ordinal));
        if (bytes === undefined) break;
        length += bytes.length;
        yield bytes;
      }
      if (size !== undefined && length !== size) {
        throw new Error(`of ${size} bytes of content ${length} are in the store`);
      }
    },

    async record(workerId, outcomes) {
      const feedback = feedbackOf(outcomes);
      const reached = feedback.filter((one) => one.reached > 0).map(({ id }) => id);
      const entered = await enter(sql, workerId, outcomes, destinations, reached);
      const at = now();
      const idleProbes = new Set<number>();
      for (const outcome of outcomes) {
        if (inHand.letGo(workerId, outcome)?.probe) idleProbes.add(outcome.destinationId);
      }
      for (const { key, wait } of entered.waiting) lines.hear(key, at + wait);
      announcer.announce(entered.reports);

      await destinations.recall(outcomes.map(({ destinationId }) => destinationId));
      const untold = feedback.filter(({ id, failed, reply }) =>
        failed || reply !== null || entered.failing.includes(id) ||
        concurrencyOf(id) !== undefined || destinationNews.isPending(id)
      );
      for (const { id } of feedback) idleProbes.delete(id);
      try {
        await destinationNews.tell([...untold, ...[...idleProbes].map(probeEnded)]);
        // All workers let the queue of a destination go on that is back.
        if (entered.failing.length > 0) await sql`select pg_notify(${QUEUE_CHANNEL}, '')`;
      } catch {
        // The outcomes are in the books. What they say of destinations the next ones say again.
      }
      if (entered.failing.length > 0 || idleProbes.size > 0) lookout.lookSoon();
      for (const { destinationId } of outcomes) {
        if (concurrencyOf(destinationId) !== undefined) lines.hurry(destinationId, now());
      }
      return outcomes.length - entered.owned;
    },

    recordPart(workerId, part) {
      return enterPart(sql, workerId, part);
    },

    async release(workerId, given) {
      const keys = given.map(({ messageId, destinationId }) => ({
        message: messageId,
        destination: destinationId,
      }));
      const probes = new Set<number>();
      // First: what is claimed again, as soon as others may have it, is in hand.
      for (const one of given) {
        if (inHand.letGo(workerId, one)?.probe) probes.add(one.destinationId);
      }
      try {
        await sql`
          with released as (
            update deliveries d set worker_id = null
            from json_to_recordset(${JSON.stringify(keys)}::text::json)
              as k (message uuid, destination bigint)
            where d.message_id = k.message and d.destination_id = k.destination
              and d.worker_id = ${workerId}
          )
          select pg_notify(${QUEUE_CHANNEL}, '')`;
        await destinationNews.tell([...probes].map(probeEnded));
      } catch (error) {
        inDoubt = true;
        throw error;
      }
    },

    limitsChanged() {
      limitChanges += 1;
      lines.forgetKept();
    },

    untilNextDue(room = () => 1) {
      return lookout.untilNext((id) => room(id, lookout.fails(id)) > 0);
    },

    async onWork(wake, accepted = () => {}) {
      const look = () => {
        lookout.listening(wake);
        wake();
      };
      const subscription = await sql.listen(QUEUE_CHANNEL, (payload) => {
        const news = announced(payload);
        if (news.accepted > 0) accepted(news.accepted);
        if (news.lines === undefined) return look();
        for (const line of news.lines) lines.hear(line, now());
        wake();
      }, look);
      return {
        stop: async () => {
          lookout.listening(undefined);
          await subscription.unlisten();
        },
      };
    },
  };
}
