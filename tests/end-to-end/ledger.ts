/**
 * The books of a fault run: what clients were promised, what the next hop got, who was killed when.
 * At the end they must balance: nothing promised is missing, nothing came that was not sent, and
 * whatever came twice did so because the worker that made the first copy was killed before that copy
 * was in the books of the gateway.
 */
import { createHash } from "node:crypto";

/** Times are milliseconds of `performance.now()` in the process that keeps the books. */
type Time = number;

/** Who can die. */
export type Victim = "ingress" | "worker" | "postgres";

/** A message that a client sent, or began to. */
interface Sent {
  readonly recipients: readonly string[];
  readonly digest: string;
  /** When the 250 came; undefined: it did not, so the message may arrive or not. */
  promisedAt: Time | undefined;
}

/** A copy that the next hop took. */
interface Copy {
  readonly at: Time;
  /** The worker that made it, and the next hop's reply, which no other copy got. */
  readonly worker: string;
  readonly reply: string;
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
  readonly #arrived = new Map<string, Copy[]>();
  readonly #deaths = new Map<string, Time>();
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

  /** The next hop answers `reply` to a copy that this worker made for these recipients. */
  arrive(
    name: string,
    recipients: readonly string[],
    body: string,
    { worker, reply }: { readonly worker: string; readonly reply: string },
  ): void {
    const sent = this.#sent.get(name);
    if (sent === undefined) return void this.#faults.push(`${name}: was never sent`);
    if (digestOf(body) !== sent.digest) this.#faults.push(`${name}: its body was changed`);
    for (const recipient of recipients) {
      if (!sent.recipients.includes(recipient)) {
        this.#faults.push(`${name}: not for ${recipient}`);
      }
      const key = `${name} ${recipient}`;
      const copies = this.#arrived.get(key) ?? [];
      copies.push({ at: performance.now(), worker, reply });
      this.#arrived.set(key, copies);
    }
  }

  kill(victim: Victim): void {
    this.#kills.push({ at: performance.now(), victim });
  }

  /** The worker of this name is killed, or could not even start. */
  bury(worker: string): void {
    this.#deaths.set(worker, performance.now());
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

  /** `recorded`: the replies of the next hop that the gateway has in its books as deliveries. */
  balance(recorded: ReadonlySet<string>): Balance {
    const faults = [...this.#faults, ...this.missing().map((key) => `${key}: lost`)];
    let duplicates = 0;
    let unpromised = 0;
    for (const [key, copies] of this.#arrived) {
      if (this.#sent.get(key.split(" ")[0]!)?.promisedAt === undefined) unpromised += 1;
      duplicates += copies.length - 1;
      // The last copy is in the books, and it alone.
      copies.forEach((copy, index) => {
        const next = copies[index + 1];
        if (recorded.has(copy.reply) !== (next === undefined)) {
          this.#complain(
            faults,
            key,
            copies,
            `copy ${index + 1} is${next ? "" : " not"} in the books`,
          );
        }
        // Promise 3: whoever made a copy that did not get there was dead before the next one came.
        // The death of Postgres alone explains nothing, for the worker lives and keeps its claim.
        if (next !== undefined && !((this.#deaths.get(copy.worker) ?? Infinity) < next.at)) {
          this.#complain(faults, key, copies, `who made copy ${index + 1} was alive at the next`);
        }
      });
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

  #complain(faults: string[], key: string, copies: readonly Copy[], problem: string): void {
    const [first] = copies;
    const story = copies.map(({ at, worker }) => {
      const death = this.#deaths.get(worker);
      const end = death === undefined ? "lives" : `killed at ${Math.round(death - first!.at)}`;
      return `at ${Math.round(at - first!.at)} ms by ${worker} (${end})`;
    });
    faults.push(`${key}: ${problem}; ${story.join(", ")}`);
  }
}

function digestOf(body: string): string {
  return createHash("sha256").update(body).digest("hex");
}
