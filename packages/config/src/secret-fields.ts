/** Where the definitions of resources hold secrets. Everything that seals, shows or opens goes by this. */
import type { Resource, ResourceKind } from "./configuration.ts";
import type { Relay } from "./relay.ts";
import type { Secret } from "./secret.ts";
import type { Password, User } from "./user.ts";

/** A secret or a password, as it is given or as it lies in the store. */
export type AnySecret = Secret | Password;

/** One secret of a resource. */
export interface SecretField {
  /** JSON pointer into the definition. */
  readonly pointer: string;
  readonly secret: AnySecret;
}

/** The definition with each of its secrets replaced by what `replace` answers. */
export function replaceSecrets(
  kind: ResourceKind,
  resource: Resource,
  replace: (field: SecretField) => AnySecret,
): Resource {
  if (kind === "users") {
    const user = resource as User;
    if (user.password === undefined) return user;
    const password = replace({ pointer: "/password", secret: user.password }) as Password;
    return { ...user, password };
  }
  if (kind !== "relays") return resource;
  const relay = resource as Relay;
  const other = (pointer: string, secret: Secret) => replace({ pointer, secret }) as Secret;
  if (relay.kind === "http") {
    return relay.secret === undefined
      ? relay
      : { ...relay, secret: other("/secret", relay.secret) };
  }
  if (relay.kind !== "smtp" && relay.kind !== "lmtp" || relay.credentials === undefined) {
    return relay;
  }
  const { credentials } = relay;
  if ("password" in credentials) {
    const password = other("/credentials/password", credentials.password);
    return { ...relay, credentials: { ...credentials, password } };
  }
  const { oauth2 } = credentials;
  const at = "/credentials/oauth2";
  return {
    ...relay,
    credentials: {
      ...credentials,
      oauth2: {
        ...oauth2,
        clientSecret: other(`${at}/clientSecret`, oauth2.clientSecret),
        ...(oauth2.refreshToken !== undefined && {
          refreshToken: other(`${at}/refreshToken`, oauth2.refreshToken),
        }),
      },
    },
  };
}

/** The secrets of a definition. */
export function secretsIn(kind: ResourceKind, resource: Resource): SecretField[] {
  const found: SecretField[] = [];
  replaceSecrets(kind, resource, (field) => {
    found.push(field);
    return field.secret;
  });
  return found;
}

/** The definition as it may be shown: of each secret its fingerprint alone. */
export function withoutSecrets<Shown extends Resource>(kind: ResourceKind, resource: Shown): Shown {
  return replaceSecrets(kind, resource, ({ secret }) => ({
    // What was stored before secrets were sealed is not shown either.
    sealed: typeof secret === "object" && "sealed" in secret ? secret.sealed : "",
  })) as Shown;
}
