/** Queue ids. */
import { v7 } from "uuid";

/** A new queue id: a UUID of version 7 (RFC 9562 §5.7), which sorts by the time it was made. */
export function newQueueId(at?: Date): string {
  return at === undefined ? v7() : v7({ msecs: at.getTime() });
}
