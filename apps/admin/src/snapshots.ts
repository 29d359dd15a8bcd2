/** The configuration in force, compiled, for what the API decides by it. */
import { compile, type Snapshot } from "@postern/routing";
import type { ConfigurationStore } from "@postern/store";

/** Answers the snapshot of the version in force; compiles each version once. */
export class Snapshots {
  readonly #store: ConfigurationStore;
  #last: Snapshot | undefined;
  #reading: Promise<Snapshot> | undefined;

  constructor(store: ConfigurationStore) {
    this.#store = store;
  }

  /** The snapshot in force now. */
  async current(): Promise<Snapshot> {
    if (this.#last !== undefined && await this.#store.currentVersion() === this.#last.version) {
      return this.#last;
    }
    this.#reading ??= this.#store.load()
      .then((configuration) => this.#last = compile(configuration))
      .finally(() => this.#reading = undefined);
    return await this.#reading;
  }
}
