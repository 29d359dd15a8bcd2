/**
 * AUTH in one session: answers what the protocol core asks about credentials, slows down who
 * guesses, and shows him the door.
 */
import { createHash, createHmac, randomBytes } from "node:crypto";
import type { Log } from "@postern/process";
import type { Snapshot } from "@postern/routing";
import {
  type AuthMechanism,
  type AuthQuestion,
  type Credentials,
  type DigestQuestion,
  type Reply,
  reply,
  type ScramQuestion,
  type ServerSession,
} from "@postern/smtp";
import type { Verifier } from "@postern/secrets";
import type { Authenticator } from "./authenticator.ts";

/** What one session's authentication needs. */
export interface AuthenticationOptions {
  readonly authenticator: Authenticator;
  readonly session: Pick<
    ServerSession,
    "accept" | "refuse" | "answerScram" | "answerDigest" | "configure"
  >;
  readonly log: Log;
  /** The configuration in force. */
  readonly snapshot: () => Snapshot;
  /** The client's address as of now. */
  readonly address: () => string;
  /** Resolves after so many seconds. */
  readonly delay: (seconds: number) => Promise<void>;
  /** Somebody is about to be let in; a reply keeps him out all the same. */
  readonly onUser: (user: string) => Reply | undefined;
}

/** Failures of one session before it is ended. */
const FAILURES_PER_SESSION = 3;
/** Each failure from one address waits a second longer than the one before, up to this. */
const LONGEST_DELAY_SECONDS = 5;

/** The mechanisms to offer, the strongest first. */
export function mechanismsOf(authenticator: Authenticator): AuthMechanism[] {
  return [
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "PLAIN",
    "LOGIN",
    ...(authenticator.takesTokens ? ["OAUTHBEARER", "XOAUTH2"] as const : []),
  ];
}

/** The adapter's side of AUTH. */
export class Authentication {
  readonly #options: AuthenticationOptions;
  #failures = 0;
  /** The exchange of SCRAM that is under way. */
  #scram: { readonly verifier: Verifier; readonly question: ScramQuestion } | undefined;

  constructor(options: AuthenticationOptions) {
    this.#options = options;
  }

  /** Answers a question on the session; a promise when that takes its time. */
  answer(question: AuthQuestion | ScramQuestion | DigestQuestion): Promise<void> | undefined {
    switch (question.type) {
      case "auth":
        return this.#judge(question.credentials);
      case "scram":
        return void this.#begin(question);
      case "digest":
        return this.#digest(question);
    }
  }

  async #judge(credentials: Credentials): Promise<void> {
    const { session, onUser, log, address } = this.#options;
    const user = await this.#userOf(credentials);
    if (user === undefined) {
      const delay = this.#failed(credentials.mechanism, credentials.user);
      await this.#options.delay(delay);
      const over = this.#failures >= FAILURES_PER_SESSION;
      return session.refuse(
        over
          ? reply(421, "4.7.0", "Too many failed authentications")
          : reply(535, "5.7.8", "Authentication credentials invalid"),
      );
    }
    const refusal = onUser(user);
    if (refusal !== undefined) return session.refuse(refusal);
    log.info("authenticated", { client: address(), user, mechanism: credentials.mechanism });
    session.accept();
  }

  async #userOf(credentials: Credentials): Promise<string | undefined> {
    const { authenticator } = this.#options;
    const snapshot = this.#options.snapshot();
    if (credentials.kind === "token") {
      return await authenticator.byToken(snapshot, credentials.token, credentials.user);
    }
    const { user, authorizationId } = credentials;
    // Nobody acts for somebody else (RFC 4616 §2).
    const himself = authorizationId === undefined ||
      authorizationId.toLowerCase() === user.toLowerCase();
    if (credentials.kind === "scram") {
      this.#scram = undefined;
      return himself && authenticator.mayEnter(snapshot, user) ? user.toLowerCase() : undefined;
    }
    const found = await authenticator.byPassword(snapshot, user, credentials.password);
    return himself ? found : undefined;
  }

  #begin(question: ScramQuestion): void {
    const { authenticator, session, snapshot } = this.#options;
    const verifier = authenticator.verifierFor(snapshot(), question.user);
    this.#scram = { verifier, question };
    session.answerScram({ ...verifier, nonce: randomBytes(18).toString("base64") });
  }

  #digest(question: DigestQuestion): Promise<void> | undefined {
    const { session } = this.#options;
    const digest = question.algorithm === "SHA-256"
      ? createHash("sha256").update(question.data).digest()
      : createHmac("sha256", question.key).update(question.data).digest();
    const scram = this.#scram;
    // SHA-256 is asked of the client's key: what comes out must be the stored one, else the core
    // answers 535 by itself and does not ask us about the user.
    if (
      scram === undefined || question.algorithm === "HMAC-SHA-256" ||
      digest.equals(scram.verifier.storedKey)
    ) {
      return void session.answerDigest(digest);
    }
    this.#scram = undefined;
    const seconds = this.#failed(scram.question.mechanism, scram.question.user);
    // 535 now, 421 for whatever comes next.
    if (this.#failures >= FAILURES_PER_SESSION) session.configure({ limits: { errors: 1 } });
    return this.#options.delay(seconds).then(() => session.answerDigest(digest));
  }

  /** Counts and logs a failure; answers how many seconds its reply waits. */
  #failed(mechanism: AuthMechanism, user: string | undefined): number {
    const { authenticator, log, address } = this.#options;
    this.#failures += 1;
    const failures = authenticator.failed(address());
    log.warning("authentication failed", {
      client: address(),
      user: user?.slice(0, 254) ?? "",
      mechanism,
      failures,
    });
    return Math.min(failures, LONGEST_DELAY_SECONDS);
  }
}
