/** What all sessions of this ingress share: the snapshot in force, the spool, the log, our name. */
import type { Admission } from "./admission.ts";
import type { Log } from "@postern/process";
import type { Snapshot } from "@postern/routing";
import type { Spool } from "@postern/store";

/** Handed to every session; `snapshot` is replaced when the configuration changes. */
export interface Ingress {
  readonly hostname: string;
  readonly spool: Spool;
  readonly log: Log;
  readonly now: () => Date;
  readonly admission: Admission;
  readonly newQueueId: () => string;
  /** The configuration in force; a session asks anew for each decision. */
  snapshot: Snapshot;
}
