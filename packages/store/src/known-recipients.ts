/**
 * Whether a recipient is on the list of its domain: asked at each RCPT, so answers are remembered
 * for as long as the configuration stays the same, and what is asked while a query is under way
 * goes together in the next one.
 */
import { listedSpellings } from "@postern/config";
import type { Database } from "./connection.ts";

/** Answers to remember; about 200 bytes each. */
const REMEMBERED = 100_000;

/** The most questions of one query. */
const QUESTIONS_AT_ONCE = 1000;

interface Question {
  readonly version: number;
  readonly key: string;
  readonly domain: string;
  readonly spellings: readonly string[];
  readonly resolve: (known: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** Looks recipients up; make one for each process. */
export class KnownRecipients {
  readonly #sql: Database["sql"];
  readonly #remembered: number;
  readonly #waiting: Question[] = [];
  /** The least recently asked first, for this version only. */
  #answers = new Map<string, boolean>();
  #version = -1;
  #asking = false;

  constructor({ sql }: Database, options: { readonly remembered?: number } = {}) {
    this.#sql = sql;
    this.#remembered = options.remembered ?? REMEMBERED;
  }

  /**
   * Whether the address is on the domain's list.
   *
   * @param version that of the configuration decided with; answers are remembered for one version
   * @param domain the name of the relay domain, `*.example.com` where that is its name
   * @param address the whole address
   * @throws when Postgres is away (`isUnavailable`): answer 451
   */
  async known(version: number, domain: string, address: string): Promise<boolean> {
    if (version > this.#version) {
      this.#version = version;
      this.#answers = new Map();
    }
    // Neither can be on a list, and Postgres would refuse the whole query for them.
    if (address.includes("\0") || !address.isWellFormed()) return false;
    const spellings = listedSpellings(domain, address);
    const key = [domain, ...spellings].join(" ");
    const remembered = version === this.#version ? this.#answers.get(key) : undefined;
    if (remembered !== undefined) {
      this.#answers.delete(key);
      this.#answers.set(key, remembered);
      return remembered;
    }
    return await new Promise<boolean>((resolve, reject) => {
      this.#waiting.push({ version, key, domain, spellings, resolve, reject });
      if (!this.#asking) {
        this.#asking = true;
        // Once this turn's input is dealt with, so that what arrived together is asked together.
        queueMicrotask(() => void this.#ask());
      }
    });
  }

  async #ask(): Promise<void> {
    while (this.#waiting.length > 0) {
      const questions = this.#waiting.splice(0, QUESTIONS_AT_ONCE);
      try {
        const known = await this.#lookUp(questions);
        questions.forEach((question, index) => {
          const answer = known.has(index);
          this.#remember(question, answer);
          question.resolve(answer);
        });
      } catch (error) {
        for (const { reject } of questions) reject(error);
      }
    }
    this.#asking = false;
  }

  /** The indices of the questions whose answer is yes. */
  async #lookUp(questions: readonly Question[]): Promise<Set<number>> {
    const rows = questions.flatMap(({ domain, spellings }, n) =>
      spellings.map((address) => ({ n, domain, address }))
    );
    // Counts on the index domain_recipients_in_force.
    const found = await this.#sql`
      select distinct q.n
      from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as q (n int, domain text, address text)
      cross join lateral (
        select 1 from domain_recipients r
        where r.domain = q.domain and r.address = q.address and r.valid_to is null limit 1
      ) r`;
    return new Set(found.map((row) => Number(row.n)));
  }

  #remember({ version, key }: Question, answer: boolean): void {
    if (version !== this.#version) return;
    this.#answers.set(key, answer);
    if (this.#answers.size > this.#remembered) {
      this.#answers.delete(this.#answers.keys().next().value!);
    }
  }
}
