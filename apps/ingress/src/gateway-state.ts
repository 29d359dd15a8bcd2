/** What all sessions of this ingress share: the snapshot in force, the spool, the log, our name. */
import type { Resolver } from "@postern/dns";
import type { Log } from "@postern/process";
import type { RecipientFacts, Snapshot } from "@postern/routing";
import type { Destination, SenderRates, Spool } from "@postern/store";
import type { Admission } from "./admission.ts";
import type { Authenticator } from "./authenticator.ts";
import type { RecipientChecks } from "./recipient-checks.ts";
import type { TlsAcceptor } from "./tls-acceptor.ts";

/** Handed to every session; `snapshot` is replaced when the configuration changes. */
export interface Ingress {
  readonly hostname: string;
  readonly spool: Spool;
  readonly log: Log;
  readonly now: () => Date;
  readonly admission: Admission;
  readonly authenticator: Authenticator;
  readonly tls: TlsAcceptor;
  /** Makes due what waits at a destination; answers how many deliveries. */
  readonly flush: (destination: Destination) => Promise<number | undefined>;
  readonly newQueueId: () => string;
  readonly resolver: Resolver;
  readonly recipientChecks: RecipientChecks;
  readonly senderRates: SenderRates;
  /** Finds the way back of rewritten senders (SRS); absent where no key is known. */
  readonly reverseOf?: RecipientFacts["reverseOf"];
  /** The configuration in force; a session asks anew for each decision. */
  snapshot: Snapshot;
}
