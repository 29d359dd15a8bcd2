/**
 * A lane: the deliveries this worker has in hand for one destination, and the sessions they go
 * over. Sessions are kept while there is work and a little longer.
 */
import type { Relay } from "@postern/config";
import type { ClaimedDelivery } from "@postern/store";
import {
  type AttemptFacts,
  conclude,
  offer,
  replyText,
  type Verdict,
  verdictForAll,
} from "./attempt.ts";
import type { Delivering } from "./delivering.ts";
import { findNextHops } from "./next-hops.ts";
import { type NextHopSession, openNextHopSession } from "./next-hop-session.ts";

/** Sessions at once to one destination. */
const SESSIONS = 20;

/** A session without work is kept for so many milliseconds. */
const IDLE_MILLISECONDS = 2_000;

interface Task {
  readonly delivery: ClaimedDelivery;
  readonly workerId: number;
}

/** Delivers what it is given, several at once. */
export class Lane {
  readonly #delivering: Delivering;
  readonly #onProgress: () => void;
  readonly #waiting: Task[] = [];
  readonly #idle: {
    readonly session: NextHopSession;
    readonly timer: ReturnType<typeof setTimeout>;
  }[] = [];
  #active = 0;

  constructor(delivering: Delivering, onProgress: () => void) {
    this.#delivering = delivering;
    this.#onProgress = onProgress;
  }

  /** Deliveries that are not recorded yet. */
  get inHand(): number {
    return this.#waiting.length + this.#active;
  }

  /** Nothing to do and no session kept. */
  get isIdle(): boolean {
    return this.inHand === 0 && this.#idle.length === 0;
  }

  add(delivery: ClaimedDelivery, workerId: number): void {
    this.#waiting.push({ delivery, workerId });
    if (this.#active < SESSIONS) {
      this.#active += 1;
      void this.#run();
    }
  }

  /** Gives up what has not begun and lets idle sessions go; answers what was given up. */
  close(): Task[] {
    for (const { session, timer } of this.#idle.splice(0)) {
      clearTimeout(timer);
      session.quit();
    }
    return this.#waiting.splice(0);
  }

  /** One session's worth of work: deliveries one after another until none waits. */
  async #run(): Promise<void> {
    let session = this.#takeIdle();
    for (let task = this.#waiting.shift(); task !== undefined; task = this.#waiting.shift()) {
      try {
        session = await this.#deliver(task, session);
      } catch (error) {
        session?.destroy();
        session = undefined;
        this.#delivering.log.error("delivery failed in an unforeseen way", {
          id: task.delivery.messageId,
          error: error instanceof Error ? error.stack : String(error),
        });
        await this.#record(
          task,
          undefined,
          verdictForAll(task.delivery, "later", "451 4.3.0 Internal error"),
          {
            relay: task.delivery.destination.relay,
            seconds: 0,
          },
        );
      }
      this.#onProgress();
    }
    this.#active -= 1;
    if (session !== undefined) this.#keep(session);
    this.#onProgress();
  }

  /** Delivers one; answers the session to go on with, if there still is one. */
  async #deliver(
    task: Task,
    session: NextHopSession | undefined,
  ): Promise<NextHopSession | undefined> {
    const { delivery } = task;
    const { relay: name } = delivery.destination;
    const relay = this.#delivering.snapshot().relays.get(name);
    const began = this.#delivering.now().getTime();
    const facts = (hop?: NextHopSession["hop"]): AttemptFacts => ({
      ...hop,
      relay: name,
      seconds: (this.#delivering.now().getTime() - began) / 1000,
    });
    if (relay === undefined) {
      const reply = `451 4.3.5 The relay ${name} is not configured`;
      await this.#record(task, relay, verdictForAll(delivery, "later", reply), facts());
      return session;
    }
    if (relay.kind === "capture" || relay.kind === "discard") {
      const reply = `250 2.0.0 ${relay.kind === "capture" ? "Captured" : "Discarded"}`;
      await this.#record(task, relay, verdictForAll(delivery, "delivered", reply), facts());
      return session;
    }
    if (relay.kind !== "smtp" && relay.kind !== "mx") {
      const reply = `451 4.3.5 Relays of kind ${relay.kind} are not served yet`;
      await this.#record(task, relay, verdictForAll(delivery, "later", reply), facts());
      return session;
    }
    if (session?.usable) {
      const verdicts = await offer(delivery, session, this.#delivering);
      // A next hop may end a kept session at any time; that says nothing about this message.
      const ended = !session.usable && verdicts.every(({ unheard }) => unheard === true);
      if (!ended) {
        await this.#record(task, relay, verdicts, facts(session.hop));
        return session.usable ? session : undefined;
      }
    }
    const opened = await this.#open(relay, delivery);
    if (!("session" in opened)) {
      await this.#record(
        task,
        relay,
        verdictForAll(delivery, opened.status, opened.reply),
        facts(),
      );
      return undefined;
    }
    const verdicts = await offer(delivery, opened.session, this.#delivering);
    await this.#record(task, relay, verdicts, facts(opened.session.hop));
    return opened.session.usable ? opened.session : undefined;
  }

  /** A session with the first next hop that will have one. */
  async #open(
    relay: Extract<Relay, { kind: "smtp" | "mx" }>,
    { destination }: ClaimedDelivery,
  ): Promise<{ session: NextHopSession } | { status: "later" | "never"; reply: string }> {
    const { hostname, resolver, hosts, random } = this.#delivering;
    const ownNames = [hostname];
    const found = await findNextHops(relay, destination, { resolver, hosts, ownNames, random });
    if (found.status !== "found") {
      return { status: found.status === "permanent" ? "never" : "later", reply: found.reply };
    }
    let answer: { status: "later" | "never"; reply: string } | undefined;
    for (const hop of found.hops) {
      const opened = await openNextHopSession(hop, { ehloName: hostname });
      if (opened.status === "open") return { session: opened.session };
      const status = opened.status === "permanent" ? "never" : "later";
      // One host that may take it later is reason to wait, whatever the others say.
      if (answer?.status !== "later") answer = { status, reply: replyText(opened.reply) };
    }
    return answer ?? { status: "later", reply: "451 4.4.4 No next hop has an address" };
  }

  async #record(
    { delivery, workerId }: Task,
    relay: Relay | undefined,
    verdicts: readonly Verdict[],
    facts: AttemptFacts,
  ): Promise<void> {
    const outcome = await conclude(delivery, relay, verdicts, facts, this.#delivering);
    await this.#delivering.recorder.record(workerId, outcome);
  }

  #takeIdle(): NextHopSession | undefined {
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      clearTimeout(kept.timer);
      if (kept.session.usable) return kept.session;
    }
    return undefined;
  }

  #keep(session: NextHopSession): void {
    if (!session.usable) return;
    const timer = setTimeout(() => {
      const index = this.#idle.findIndex((kept) => kept.session === session);
      if (index >= 0) this.#idle.splice(index, 1);
      session.quit();
    }, IDLE_MILLISECONDS);
    this.#idle.push({ session, timer });
  }
}
