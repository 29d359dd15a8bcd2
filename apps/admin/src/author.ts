/** Who makes a request, as versions of the configuration and events of messages tell it. */
import type { Context } from "hono";

/** The name of whoever makes the request. */
export function authorOf(_context: Context): string {
  return "api";
}
