/** What every delivery of this worker uses. */
import type { Secret } from "@postern/config";
import type { Hosts, Resolver } from "@postern/dns";
import type { Log } from "@postern/process";
import type { Snapshot } from "@postern/routing";
import type { Lease, Queue } from "@postern/store";
import type { AccessTokens } from "./access-tokens.ts";
import type { HostMemory } from "./host-memory.ts";
import type { Recorder } from "./recorder.ts";

/** Handed to all parts of the worker; `snapshot()` is the configuration in force. */
export interface Delivering {
  readonly hostname: string;
  readonly queue: Queue;
  readonly recorder: Recorder;
  /** Whether this worker's claims are still its own. */
  readonly lease: Lease;
  readonly snapshot: () => Snapshot;
  readonly resolver: Resolver;
  readonly hosts: Hosts;
  readonly log: Log;
  readonly now: () => Date;
  readonly random: () => number;
  readonly newQueueId: () => string;
  /** What this process remembers of hosts. */
  readonly memory: HostMemory;
  /** The text of a secret of the configuration; rejects when the key in use did not seal it. */
  readonly openSecret: (secret: Secret) => Promise<string>;
  readonly tokens: AccessTokens;
  /** A keyed hash for rewritten senders (SRS); undefined without a key. */
  readonly signSender: ((text: string) => Uint8Array) | undefined;
}
