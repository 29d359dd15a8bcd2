/** A relay's credentials as the protocol core takes them: secrets opened, tokens fetched. */
import type { Credentials, Secret } from "@postern/config";
import type { ClientCredentials } from "@postern/smtp";
import type { AccessTokens } from "./access-tokens.ts";

/** Credentials to authenticate with, or why there are none just now. */
export type ReadyCredentials =
  | { readonly credentials: ClientCredentials | undefined }
  | { readonly problem: string };

/** Makes credentials ready for one session. */
export async function readyCredentials(
  given: Credentials | undefined,
  { openSecret, tokens }: {
    readonly openSecret: (secret: Secret) => Promise<string>;
    readonly tokens: AccessTokens;
  },
): Promise<ReadyCredentials> {
  if (given === undefined) return { credentials: undefined };
  const { username: user } = given;
  if ("oauth2" in given) {
    const answer = await tokens.get(given.oauth2);
    if ("problem" in answer) return { problem: `No access token: ${answer.problem}` };
    if (!/^[\x21-\x7e]+$/.test(answer.token)) return { problem: "The access token is not one" };
    return { credentials: { kind: "token", user, token: answer.token } };
  }
  try {
    const password = await openSecret(given.password);
    // These separate the fields of SASL's messages.
    // deno-lint-ignore no-control-regex
    if (/[\0\x01]/.test(user + password)) {
      return { problem: "User or password holds a control character" };
    }
    const nonce = crypto.randomUUID() + crypto.randomUUID();
    return { credentials: { kind: "password", user, password, nonce } };
  } catch (error) {
    return { problem: `The password cannot be opened: ${(error as Error).message}` };
  }
}
