/**
 * Who may authenticate: passwords and SCRAM verifiers of the users of the configuration, and who
 * failed of late. One for all sessions of an ingress. Knows no session.
 */
import { createHmac } from "node:crypto";
import { Buffer } from "node:buffer";
import type { Snapshot } from "@postern/routing";
import { parseVerifier, type Verifier, verifyPassword } from "@postern/secrets";

/** Finds out whose token (OAUTHBEARER, XOAUTH2) this is; undefined when it is nobody's. */
export type TokenCheck = (token: string, user: string | undefined) => Promise<string | undefined>;

/** How an {@link Authenticator} is made. */
export interface AuthenticatorOptions {
  /**
   * 32 bytes that nobody else knows. Ingresses of one gateway should share them: from them come the
   * salts that unknown users are answered with.
   */
  readonly secret: Uint8Array;
  readonly now: () => Date;
  /** Absent: tokens are not taken. */
  readonly tokens?: TokenCheck;
}

/** A password that was right is known again for so long, so that it does not cost PBKDF2 each time. */
const REMEMBERED_MILLISECONDS = 300_000;
const REMEMBERED_PASSWORDS = 10_000;

/** Failures count for so long, and those of so many addresses. */
const FAILURE_MILLISECONDS = 600_000;
const FAILURE_ADDRESSES = 10_000;

/** The iterations of verifiers that this gateway makes; an unknown user is answered with them. */
const ITERATIONS = 4096;

/** Checks credentials against a snapshot. */
export class Authenticator {
  readonly #secret: Uint8Array;
  readonly #now: () => Date;
  readonly #tokens: TokenCheck | undefined;
  /** Until when a proof of a user, verifier and password is good. */
  readonly #remembered = new Map<string, number>();
  readonly #failures = new Map<string, { count: number; until: number }>();

  constructor({ secret, now, tokens }: AuthenticatorOptions) {
    this.#secret = secret;
    this.#now = now;
    this.#tokens = tokens;
  }

  /** Whether tokens can be checked at all. */
  get takesTokens(): boolean {
    return this.#tokens !== undefined;
  }

  /** The user whose name and password these are; undefined when they are nobody's. */
  async byPassword(
    snapshot: Snapshot,
    given: string,
    password: string,
  ): Promise<string | undefined> {
    const name = given.toLowerCase();
    const known = enabledVerifier(snapshot, name);
    // Nobody's password costs as much as a wrong one: the time must not tell which names there are.
    const verifier = known ?? this.#nobodys(name);
    const proof = this.#mac("password", name, verifierKey(verifier), password);
    const now = this.#now().getTime();
    const until = this.#remembered.get(proof);
    if (until !== undefined && until > now && known !== undefined) return name;
    if (!await verifyPassword(verifier, password) || known === undefined) return undefined;
    this.#remembered.delete(proof);
    this.#remembered.set(proof, now + REMEMBERED_MILLISECONDS);
    dropOldest(this.#remembered, REMEMBERED_PASSWORDS);
    return name;
  }

  /** The user that a token belongs to, if it is one who may authenticate. */
  async byToken(
    snapshot: Snapshot,
    token: string,
    user: string | undefined,
  ): Promise<string | undefined> {
    const name = (await this.#tokens?.(token, user?.toLowerCase()))?.toLowerCase();
    return name !== undefined && this.mayEnter(snapshot, name) ? name : undefined;
  }

  /** The verifier to run SCRAM with. A user there is not gets one, too: always the same, and no key. */
  verifierFor(snapshot: Snapshot, name: string): Verifier {
    return enabledVerifier(snapshot, name.toLowerCase()) ?? this.#nobodys(name.toLowerCase());
  }

  /** Whether this is a user who is not disabled. */
  mayEnter(snapshot: Snapshot, name: string): boolean {
    return snapshot.users.get(name.toLowerCase())?.user.disabled === false;
  }

  /** Counts a failure; answers how many there were from this address within ten minutes. */
  failed(address: string): number {
    const now = this.#now().getTime();
    const former = this.#failures.get(address);
    const count = former === undefined || former.until <= now ? 1 : former.count + 1;
    this.#failures.delete(address);
    this.#failures.set(address, { count, until: now + FAILURE_MILLISECONDS });
    dropOldest(this.#failures, FAILURE_ADDRESSES);
    return count;
  }

  #nobodys(name: string): Verifier {
    return {
      iterations: ITERATIONS,
      salt: this.#bytes("salt", name).subarray(0, 16),
      storedKey: this.#bytes("stored key", name),
      serverKey: this.#bytes("server key", name),
    };
  }

  #bytes(...parts: readonly string[]): Uint8Array<ArrayBuffer> {
    return Uint8Array.from(Buffer.from(this.#mac(...parts), "base64"));
  }

  #mac(...parts: readonly string[]): string {
    return createHmac("sha256", this.#secret).update(JSON.stringify(parts)).digest("base64");
  }
}

/** The verifier of a user who may authenticate by password. */
function enabledVerifier(snapshot: Snapshot, name: string): Verifier | undefined {
  const { user } = snapshot.users.get(name) ?? {};
  const password = user?.password;
  if (user === undefined || user.disabled || typeof password !== "object") return undefined;
  return parseVerifier("scram" in password ? password.scram : password.box ?? "");
}

function verifierKey({ storedKey }: Verifier): string {
  return Buffer.from(storedKey).toString("base64");
}

/** Maps keep the order in which keys were set. */
function dropOldest(map: Map<string, unknown>, most: number): void {
  const [oldest] = map.size > most ? map.keys() : [];
  if (oldest !== undefined) map.delete(oldest);
}
