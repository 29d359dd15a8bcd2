/**
 * What is fixed about an operation of the API: its method and path, what it takes and what it
 * answers, as zod schemas. The admin app serves operations that are described so, the OpenAPI
 * document tells of them, and the client has its types from them. Nothing here knows HTTP servers.
 */
import type { z } from "zod";
import type { Scope } from "./scopes.ts";

/** A response in good order. */
export interface Answer {
  readonly description: string;
  /** The media type of the body; `application/json` where there is a schema. */
  readonly type?: string;
  readonly schema?: z.ZodType;
  /** Media types that the reader may ask for instead; their bodies are described as text. */
  readonly otherTypes?: readonly string[];
  readonly hasEntityTag?: boolean;
}

/** One method of one path. */
export interface OperationDescription {
  readonly method: "get" | "put" | "post" | "delete";
  /** As OpenAPI writes it: `/v1/relays/{name}`. */
  readonly path: string;
  /** The name that generated clients give to it. */
  readonly id: string;
  readonly summary: string;
  /** What the token must allow; `none`: served to whoever asks, without a token. */
  readonly scope: Scope | "none";
  /** What it must allow besides. */
  readonly moreScopes?: readonly Scope[];
  /** The parameters in the path, by name. */
  readonly pathParameters?: Readonly<Record<string, z.ZodType>>;
  readonly query?: z.ZodObject;
  /** Beside these, every POST takes Idempotency-Key. */
  readonly headers?: readonly ("If-Match" | "If-None-Match" | "Postern-Note")[];
  readonly body?: z.ZodType;
  /** Whether the body may be absent or empty, which counts as `{}`. */
  readonly bodyIsOptional?: boolean;
  /** Media types that the body may have instead of JSON; they are described as text. */
  readonly otherBodyTypes?: readonly string[];
  readonly answers: Readonly<Record<number, Answer>>;
  /** The status codes with a problem document, besides those that any operation may answer. */
  readonly problems?: readonly number[];
}
