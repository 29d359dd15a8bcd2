/** Who makes a request, as versions of the configuration and events of messages tell it. */
import type { Context } from "hono";
import { principalOf } from "./principal.ts";

/** The name of whoever makes the request. */
export function authorOf(context: Context): string {
  return principalOf(context).name;
}
