/**
 * An operation of the API: what serves it, beside what the OpenAPI document says of it, so that
 * nothing is served that is not described.
 */
import type { OperationDescription } from "@postern/api";
import type { Context } from "hono";

/** A description with what serves it. */
export interface Operation extends OperationDescription {
  /**
   * What the audit log calls it, `thing.verb`, once it has succeeded, where it changes nothing, but tells
   * of many messages. A change is recorded by the store together with making it.
   */
  readonly audited?: string;
  readonly serve: (context: Context) => Response | Promise<Response>;
}
