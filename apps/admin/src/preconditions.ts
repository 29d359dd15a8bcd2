/** Entity tags and the conditions that requests put on them (RFC 9110 §8.8.3 and §13). */
import type { Context } from "hono";
import { Problem } from "./problem.ts";

/** The entity tag of a resource: the version of the configuration that brought it. */
export function entityTag(version: number): string {
  return `"${version}"`;
}

/** Whether the reader has this version already, so that 304 is the answer. */
export function isKnown(context: Context, version: number): boolean {
  const header = context.req.header("If-None-Match");
  return header !== undefined && names(header.replaceAll("W/", ""), version);
}

/**
 * The version at which the resource must still be when it is changed, 0 for "must not exist";
 * undefined when the request puts no condition.
 *
 * @param current answers the version the resource is at, 0 when there is none
 * @throws {Problem} 412 when the condition does not hold
 */
export async function expectedVersion(
  context: Context,
  current: () => Promise<number>,
): Promise<number | undefined> {
  const match = context.req.header("If-Match");
  const noneMatch = context.req.header("If-None-Match");
  if (match === undefined && noneMatch === undefined) return undefined;
  const version = await current();
  if (match !== undefined && !names(match, version)) throw stale();
  if (noneMatch !== undefined && isKnown(context, version)) throw stale();
  return version;
}

/** The problem of a condition that does not hold. */
export function stale(): Problem {
  const detail = "The resource is not at the version that the request asks for";
  return new Problem(412, "Precondition failed", detail);
}

/** Whether a list of entity tags, or `*`, names the version of a resource that exists. */
function names(header: string, version: number): boolean {
  const tags = header.split(",").map((tag) => tag.trim());
  return version > 0 && (header.trim() === "*" || tags.includes(entityTag(version)));
}
