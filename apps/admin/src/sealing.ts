/**
 * Secrets on their way into the configuration: text is sealed, a password becomes a verifier, and a
 * fingerprint is replaced by the secret in force that it stands for. A text that is in force already
 * keeps its box, so that what did not change compares equal.
 */
import {
  type AnySecret,
  type Configuration,
  type Definitions,
  isSealed,
  replaceSecrets,
  type Resource,
  type ResourceKind,
  type SealedSecret,
  secretsIn,
} from "@postern/config";
import {
  fingerprintOf,
  makeVerifier,
  openSecret,
  sealSecret,
  type SecretKey,
} from "@postern/secrets";
import type { FieldError } from "./problem.ts";

/** A definition as it may be stored, or what is wrong with its secrets. */
export type Sealing =
  | { readonly body: Resource }
  | { readonly errors: readonly Extract<FieldError, { pointer: string }>[] };

/** Seals the secrets of definitions that are to replace what is in force. */
export class Sealer {
  readonly #key: SecretKey;
  readonly #inForce: () => Promise<Configuration>;
  #boxes: Promise<ReadonlyMap<string, string>> | undefined;

  constructor(key: SecretKey, inForce: () => Promise<Configuration>) {
    this.#key = key;
    this.#inForce = inForce;
  }

  /** The definition with its secrets sealed. */
  async seal(kind: ResourceKind, name: string, body: Resource): Promise<Sealing> {
    const fields = secretsIn(kind, body);
    if (fields.length === 0) return { body };
    const sealed = new Map<string, SealedSecret>();
    const errors: { pointer: string; detail: string }[] = [];
    for (const { pointer, secret } of fields) {
      const outcome = kind === "users"
        ? await this.#password(name, secret)
        : await this.#secret(secret);
      if (typeof outcome === "string") errors.push({ pointer, detail: outcome });
      else sealed.set(pointer, outcome);
    }
    if (errors.length > 0) return { errors };
    return { body: replaceSecrets(kind, body, ({ pointer }) => sealed.get(pointer)!) };
  }

  async #secret(secret: AnySecret): Promise<SealedSecret | string> {
    if (typeof secret !== "string") return await this.#kept("secret", secret);
    const fingerprint = await fingerprintOf(this.#key, secret);
    const box = (await this.#known()).get(`secret ${fingerprint}`);
    return box === undefined ? await sealSecret(this.#key, secret) : { sealed: fingerprint, box };
  }

  async #password(user: string, password: AnySecret): Promise<SealedSecret | string> {
    if (typeof password !== "string" && !("scram" in password)) {
      return await this.#kept("password", password);
    }
    // With the user's name, so that equal passwords of two users do not show.
    const text = typeof password === "string" ? `text ${password}` : `scram ${password.scram}`;
    const sealed = await fingerprintOf(this.#key, `password of ${user}\n${text}`);
    const box = (await this.#known()).get(`password ${sealed}`) ??
      (typeof password === "string" ? await makeVerifier(password) : password.scram);
    return { sealed, box };
  }

  async #kept(
    kind: "secret" | "password",
    secret: Extract<AnySecret, object>,
  ): Promise<SealedSecret | string> {
    if (!("sealed" in secret)) return `expected a ${kind}`;
    if (isSealed(secret)) return "box is never given: give the text, or the fingerprint alone";
    const box = (await this.#known()).get(`${kind} ${secret.sealed}`);
    if (box !== undefined) return { sealed: secret.sealed, box };
    return `no ${kind} in force has this fingerprint: give the text`;
  }

  /** The boxes in force, by what they hold and fingerprint. */
  #known(): Promise<ReadonlyMap<string, string>> {
    this.#boxes ??= this.#inForce().then(boxesOf);
    return this.#boxes;
  }
}

function boxesOf({ relays, users }: Pick<Definitions, "relays" | "users">): Map<string, string> {
  const boxes = new Map<string, string>();
  for (
    const [kind, held, resources] of [
      ["relays", "secret", relays],
      ["users", "password", users],
    ] as const
  ) {
    for (const body of resources.values()) {
      for (const { secret } of secretsIn(kind, body)) {
        if (typeof secret === "object" && "box" in secret && secret.box !== undefined) {
          boxes.set(`${held} ${secret.sealed}`, secret.box);
        }
      }
    }
  }
  return boxes;
}

/** The secrets of relays that the key does not open, as `relay NAME, POINTER`. */
export async function unopenedSecrets(
  { relays }: Pick<Definitions, "relays">,
  key: SecretKey,
): Promise<string[]> {
  const found: string[] = [];
  for (const [name, body] of relays) {
    for (const { pointer, secret } of secretsIn("relays", body)) {
      const opened = typeof secret === "object" && "box" in secret && secret.box !== undefined
        ? await openSecret(key, { box: secret.box })
        : undefined;
      if (opened === undefined) found.push(`relay ${name}, ${pointer}`);
    }
  }
  return found;
}
