/**
 * OAuth 2.0 access tokens for next hops (RFC 6749 §4.4 client credentials, §6 refresh token): asked
 * for when they are needed, kept until shortly before they expire, shared by all sessions.
 *
 * This file must not know SMTP.
 */
import type { Credentials, Secret } from "@postern/config";
import {
  allowInsecureRequests,
  clientCredentialsGrantRequest,
  ClientSecretPost,
  processClientCredentialsResponse,
  processRefreshTokenResponse,
  refreshTokenGrantRequest,
  ResponseBodyError,
} from "oauth4webapi";

/** How tokens are asked for: the `oauth2` of a relay's credentials. */
export type OAuth2 = Extract<Credentials, { oauth2: unknown }>["oauth2"];

/** A token, or why there is none. */
export type TokenAnswer = { readonly token: string } | { readonly problem: string };

/** A token is not used any more in the last so many milliseconds of its life. */
const MARGIN_MILLISECONDS = 60_000;

/** The life of a token whose server does not say, in seconds. */
const LIFE_SECONDS = 3600;

/** How long the token server may take, in milliseconds. */
const PATIENCE_MILLISECONDS = 30_000;

interface KeptToken {
  readonly answer: Promise<TokenAnswer>;
  /** Milliseconds since 1970; infinite until the answer is there. */
  goodUntil: number;
}

/** Gets and keeps access tokens. */
export class AccessTokens {
  readonly #now: () => Date;
  readonly #openSecret: (secret: Secret) => Promise<string>;
  readonly #kept = new Map<string, KeptToken>();
  /** Refresh tokens that a server gave in place of the configured one (RFC 6749 §6). */
  readonly #refreshTokens = new Map<string, string>();

  constructor(
    { now, openSecret }: {
      readonly now: () => Date;
      readonly openSecret: (secret: Secret) => Promise<string>;
    },
  ) {
    this.#now = now;
    this.#openSecret = openSecret;
  }

  /** A token that is good for a while. */
  async get(oauth2: OAuth2): Promise<TokenAnswer> {
    const key = JSON.stringify(oauth2);
    const known = this.#kept.get(key);
    if (known !== undefined && known.goodUntil > this.#now().getTime()) return await known.answer;
    let goodFor = 0;
    const kept: KeptToken = {
      answer: this.#ask(key, oauth2, (seconds) => goodFor = seconds * 1000).catch((error) => ({
        problem: problemOf(error),
      })),
      goodUntil: Infinity,
    };
    this.#kept.set(key, kept);
    const answer = await kept.answer;
    // A server that gives very short lives must not be asked for each message.
    const life = Math.max(goodFor - MARGIN_MILLISECONDS, goodFor / 2);
    kept.goodUntil = "token" in answer ? this.#now().getTime() + life : 0;
    return answer;
  }

  /** The next hop refused this token: the next one is asked for anew. */
  async forget(oauth2: OAuth2, token: string): Promise<void> {
    const key = JSON.stringify(oauth2);
    const kept = this.#kept.get(key);
    const answer = await kept?.answer;
    // Another session may have renewed it already.
    if (answer !== undefined && "token" in answer && answer.token === token) {
      if (this.#kept.get(key) === kept) this.#kept.delete(key);
    }
  }

  async #ask(key: string, oauth2: OAuth2, life: (seconds: number) => void): Promise<TokenAnswer> {
    const server = { issuer: oauth2.tokenUrl, token_endpoint: oauth2.tokenUrl };
    const client = { client_id: oauth2.clientId };
    const authentication = ClientSecretPost(await this.#openSecret(oauth2.clientSecret));
    const scope = oauth2.scope === undefined ? {} : { scope: oauth2.scope };
    const options = {
      signal: AbortSignal.timeout(PATIENCE_MILLISECONDS),
      [allowInsecureRequests]: oauth2.tokenUrl.startsWith("http:"),
    };
    if (oauth2.refreshToken === undefined) {
      const response = await clientCredentialsGrantRequest(
        server,
        client,
        authentication,
        scope,
        options,
      );
      const granted = await processClientCredentialsResponse(server, client, response);
      life(granted.expires_in ?? LIFE_SECONDS);
      return { token: granted.access_token };
    }
    const refreshToken = this.#refreshTokens.get(key) ??
      await this.#openSecret(oauth2.refreshToken);
    const response = await refreshTokenGrantRequest(server, client, authentication, refreshToken, {
      ...options,
      additionalParameters: scope,
    });
    const granted = await processRefreshTokenResponse(server, client, response);
    if (granted.refresh_token !== undefined) this.#refreshTokens.set(key, granted.refresh_token);
    life(granted.expires_in ?? LIFE_SECONDS);
    return { token: granted.access_token };
  }
}

function problemOf(error: unknown): string {
  if (error instanceof ResponseBodyError) {
    const { error: code, error_description: description } = error;
    return description === undefined ? code : `${code}: ${description}`;
  }
  return error instanceof Error ? error.message : String(error);
}
