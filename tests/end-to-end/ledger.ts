/**
 * The books of a fault run: what clients were promised, what the next hop got, who was killed when.
 * At the end they must balance: nothing promised is missing, nothing came that was not sent, and
 * whatever came twice did so because a process died between the next hop's reply and its record.
 */
import { createHash } from "node:crypto";

/** Times are milliseconds of `performance.now()` in the process that keeps the books. */
type Time = number;

/** What a worker sent just before it died may be read by the next hop so much later. */
const ON_THE_WAY = 100;

/** Who can die. */
export type Victim = "ingress" | "worker" | "postgres";

/** A message that a client sent, or began to. */
interface Sent {
  readonly recipients: readonly string[];
  readonly digest: string;
  /** When the 250 came; undefined: it did not, so the message may arrive or not. */
  promisedAt: Time | undefined;
}

/** What does not balance, a line each, and the figures. */
export interface Balance {
  readonly faults: readonly string[];
  readonly promised: number;
  readonly delivered: number;
  /** Arrived although the client never heard the 250. */
  readonly unpromised: number;
  /** Second and further copies, all explained unless `faults` says otherwise. */
  readonly duplicates: number;
  readonly kills: Readonly<Record<Victim, number>>;
}

/** Takes notes from all sides; `balance` compares them. */
export class Ledger {
  readonly #sent = new Map<string, Sent>();
  readonly #arrived = new Map<string, Time[]>();
  readonly #kills: { readonly at: Time; readonly victim: Victim }[] = [];
  readonly #faults: string[] = [];

  /** A client is about to send this body under a name of its own. */
  send(name: string, recipients: readonly string[], body: string): void {
    this.#sent.set(name, { recipients, digest: digestOf(body), promisedAt: undefined });
  }

  /** The client has the 250. */
  promise(name: string): void {
    this.#sent.get(name)!.promisedAt = performance.now();
  }

  get promised(): number {
    let count = 0;
    for (const { promisedAt } of this.#sent.values()) if (promisedAt !== undefined) count += 1;
    return count;
  }

  /** The next hop answers 250 to a copy for these recipients. */
  arrive(name: string, recipients: readonly string[], body: string): void {
    const sent = this.#sent.get(name);
    if (sent === undefined) return void this.#faults.push(`${name}: was never sent`);
    if (digestOf(body) !== sent.digest) this.#faults.push(`${name}: its body was changed`);
    for (const recipient of recipients) {
      if (!sent.recipients.includes(recipient)) {
        this.#faults.push(`${name}: not for ${recipient}`);
      }
      const key = `${name} ${recipient}`;
      const times = this.#arrived.get(key) ?? [];
      times.push(performance.now());
      this.#arrived.set(key, times);
    }
  }

  kill(victim: Victim): void {
    this.#kills.push({ at: performance.now(), victim });
  }

  /** How many processes were killed so far. */
  get killed(): number {
    return this.#kills.length;
  }

  /** Promised copies that have not arrived yet. */
  missing(): string[] {
    return [...this.#sent].flatMap(([name, { promisedAt, recipients }]) =>
      promisedAt === undefined
        ? []
        : recipients.map((one) => `${name} ${one}`).filter((key) => !this.#arrived.has(key))
    );
  }

  balance(): Balance {
    const faults = [...this.#faults, ...this.missing().map((key) => `${key}: lost`)];
    let duplicates = 0;
    let unpromised = 0;
    for (const [key, times] of this.#arrived) {
      if (this.#sent.get(key.split(" ")[0]!)?.promisedAt === undefined) unpromised += 1;
      for (let copy = 1; copy < times.length; copy += 1) {
        duplicates += 1;
        const [first, again] = [times[copy - 1]!, times[copy]!];
        // Promise 3: the outcome of the first copy was not committed, because a worker or Postgres
        // died after the copy had come. The death of an ingress explains nothing.
        const deaths = this.#kills.filter(({ victim }) => victim !== "ingress");
        if (deaths.some(({ at }) => at >= first - ON_THE_WAY && at <= again)) continue;
        const near = deaths.map(({ at, victim }) => `${victim} ${Math.round(at - first)}`);
        faults.push(
          `${key}: twice without a cause, ${Math.round(again - first)} ms apart; killed, in ms ` +
            `after the first: ${near.filter((one) => /\D\d{1,4}$/.test(one)).join(", ")}`,
        );
      }
    }
    const kills = { ingress: 0, worker: 0, postgres: 0 };
    for (const { victim } of this.#kills) kills[victim] += 1;
    return {
      faults,
      promised: this.promised,
      delivered: this.#arrived.size,
      unpromised,
      duplicates,
      kills,
    };
  }
}

function digestOf(body: string): string {
  return createHash("sha256").update(body).digest("hex");
}
