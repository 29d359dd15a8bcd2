/**
 * Notices that Postgres has gone silent: its machine is gone or stopped, or packets are lost. TCP gives
 * up what it sent only after a quarter of an hour, and a server that is stopped still takes it.
 *
 * Postgres is asked now and then on a connection that has nothing else to do: so a statement may take as
 * long as it needs, and a connection that listens may hear nothing.
 */
import postgres from "postgres";

/** So many ticks are too long a silence; Postgres is asked again after so many. */
const TICKS_OF_SILENCE = 15;
const TICKS_TO_NEXT = 5;

/** What a {@link SilenceWatch} is made of. */
export interface SilenceWatchOptions {
  /** Asks Postgres something that is answered at once. */
  readonly ask: () => Promise<unknown>;
  /** Called when it has been silent for too long, again when it is so still. */
  readonly onSilent: () => void;
  /** So long without an answer is too long. */
  readonly seconds: number;
}

/**
 * Time goes in ticks: after this process itself was stopped for long, there is one tick and then what
 * came meanwhile is heard.
 */
export class SilenceWatch {
  readonly #options: SilenceWatchOptions;
  #timer: ReturnType<typeof setInterval> | undefined;
  #sinceAsked = 0;
  #sinceHeard = 0;
  #asking = false;

  constructor(options: SilenceWatchOptions) {
    this.#options = options;
  }

  /** Begins to watch, unless it does already. */
  begin(): void {
    this.#timer ??= setInterval(
      () => this.#tick(),
      this.#options.seconds * 1000 / TICKS_OF_SILENCE,
    );
  }

  end(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    this.#sinceAsked += 1;
    this.#sinceHeard += 1;
    if (!this.#asking && this.#sinceAsked >= TICKS_TO_NEXT) void this.#ask();
    if (this.#sinceHeard < TICKS_OF_SILENCE) return;
    this.#sinceHeard = 0;
    this.#options.onSilent();
  }

  async #ask(): Promise<void> {
    this.#asking = true;
    this.#sinceAsked = 0;
    try {
      await this.#options.ask();
      this.#sinceHeard = 0;
    } catch (error) {
      // That it takes no more connections, say, is an answer, too.
      if (error instanceof postgres.PostgresError) this.#sinceHeard = 0;
    } finally {
      this.#asking = false;
    }
  }
}
