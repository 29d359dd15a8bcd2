/** What every delivery of this worker uses. */
import type { Hosts, Resolver } from "@postern/dns";
import type { Log } from "@postern/process";
import type { Snapshot } from "@postern/routing";
import type { Queue } from "@postern/store";
import type { Recorder } from "./recorder.ts";

/** Handed to all parts of the worker; `snapshot()` is the configuration in force. */
export interface Delivering {
  readonly hostname: string;
  readonly queue: Queue;
  readonly recorder: Recorder;
  readonly snapshot: () => Snapshot;
  readonly resolver: Resolver;
  readonly hosts: Hosts;
  readonly log: Log;
  readonly now: () => Date;
  readonly random: () => number;
  readonly newQueueId: () => string;
}
