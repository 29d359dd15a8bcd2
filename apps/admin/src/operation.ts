/**
 * An operation of the API: what serves it, beside what the OpenAPI document says of it, so that
 * nothing is served that is not described.
 */
import type { OperationDescription } from "@postern/api";
import type { Context } from "hono";

/** A description with what serves it. */
export interface Operation extends OperationDescription {
  readonly serve: (context: Context) => Response | Promise<Response>;
}
