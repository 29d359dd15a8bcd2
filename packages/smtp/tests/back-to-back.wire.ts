/**
 * Wires a client core and a server core together, in memory: what one sends the other receives, cut
 * as the test wants. The server says yes to everything but what the test refuses.
 */
import {
  type ClientAction,
  ClientSession,
  type ClientSessionOptions,
  type DigestQuestion,
  type Envelope,
  type Reply,
  type ScramProof,
  type ScramProofQuestion,
  type ScramVerifier,
  type ServerAction,
  type ServerQuestion,
  ServerSession,
  type ServerSessionOptions,
  type SessionFailure,
  type Transaction,
  type TransactionOutcome,
} from "../src/index.ts";

/** A message to hand to the client, its content in the pieces in which it is handed in. */
export interface Sending {
  readonly transaction: Transaction;
  readonly content: readonly Uint8Array[];
}

/** A message that the server took. */
interface Taken {
  readonly envelope: Envelope;
  readonly verb: "DATA" | "BDAT";
  readonly content: Uint8Array;
}

export interface WireOptions {
  readonly client?: Partial<ClientSessionOptions>;
  readonly server?: Partial<ServerSessionOptions>;
  /** Cuts what travels. Default: as it was sent. */
  readonly cut?: (bytes: Uint8Array) => readonly Uint8Array[];
  /** A 4yz or 5yz reply to a question; `undefined` accepts it. */
  readonly refuse?: (question: ServerQuestion) => Reply | undefined;
  /** What SCRAM asks of the adapters of both sides. */
  readonly scram?: {
    readonly proof: (question: ScramProofQuestion) => ScramProof;
    readonly verifier: (user: string) => ScramVerifier;
    readonly digest: (question: DigestQuestion) => Uint8Array;
  };
}

export interface Delivered {
  readonly outcomes: readonly TransactionOutcome[];
  readonly taken: readonly Taken[];
  /** Why the session failed; absent when it ended by QUIT. */
  readonly failure?: SessionFailure;
  /** The questions that the server asked, by their type. */
  readonly asked: readonly string[];
}

/** Delivers all messages over one session, then QUIT. */
export function deliverAll(sendings: readonly Sending[], options: WireOptions = {}): Delivered {
  const { cut = (bytes: Uint8Array) => [bytes], refuse = () => undefined } = options;
  const client = new ClientSession({ ehloName: "client.example", ...options.client });
  const server = new ServerSession({ hostname: "hop.example", ...options.server });
  const outcomes: TransactionOutcome[] = [];
  const taken: Taken[] = [];
  const waiting = [...sendings];
  let current: Sending | undefined;
  let pieces: Uint8Array[] = [];
  let verb: Taken["verb"] = "DATA";
  let content: Uint8Array[] = [];
  let ended = false;
  let failure: SessionFailure | undefined;
  const asked: string[] = [];

  const handIn = () => {
    while (pieces.length > 0) if (!client.content(pieces.shift()!)) return;
    client.endOfContent();
  };

  const perform = (action: ClientAction) => {
    switch (action.type) {
      case "send":
        for (const piece of cut(action.bytes.slice())) {
          server.receive(piece);
          serve();
        }
        break;
      case "startTls":
        client.tlsStarted({ verified: true });
        break;
      case "ready":
        current = waiting.shift();
        if (current === undefined) client.quit();
        else client.deliver(current.transaction);
        break;
      case "needContent":
        if (action.first) pieces = [...current!.content];
        handIn();
        break;
      case "outcome":
        outcomes.push(action.outcome);
        break;
      case "scramProof":
        client.answerScram(options.scram!.proof(action));
        break;
      case "close":
        ended = true;
        failure = action.failure;
        server.inputEnded();
        break;
    }
  };

  const answer = (question: ServerQuestion) => {
    asked.push(question.type);
    const reply = refuse(question);
    if (reply !== undefined) return server.refuse(reply);
    if (question.type === "data") {
      verb = question.verb;
      content = [];
    }
    if (question.type === "message") {
      taken.push({ envelope: question.envelope, verb, content: joined(content) });
    }
    if (question.type === "scram") server.answerScram(options.scram!.verifier(question.user));
    else if (question.type === "digest") server.answerDigest(options.scram!.digest(question));
    else server.accept();
  };

  const toClient: Uint8Array[] = [];
  const serveOne = (action: ServerAction) => {
    switch (action.type) {
      case "send":
        toClient.push(...cut(action.bytes.slice()));
        break;
      case "close":
        break;
      case "startTls":
        server.tlsStarted();
        break;
      case "content":
        content.push(action.bytes.slice());
        break;
      case "reset":
      case "proxied":
        break;
      default:
        answer(action);
    }
  };
  const serve = () => {
    for (let action = server.next(); action !== undefined; action = server.next()) serveOne(action);
  };

  server.start();
  serve();
  while (!ended) {
    const action = client.next();
    if (action !== undefined) {
      perform(action);
    } else if (toClient.length > 0) {
      client.receive(toClient.shift()!);
    } else {
      // Neither has anything to say: the server closed, or one of them hangs.
      client.disconnected();
    }
  }
  return { outcomes, taken, asked, ...(failure === undefined ? {} : { failure }) };
}

export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
