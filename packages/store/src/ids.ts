/** Queue ids. */
import { v7 } from "uuid";

/** A new queue id: a UUID of version 7 (RFC 9562 §5.7), which sorts by the time it was made. */
export function newQueueId(at?: Date): string {
  return at === undefined ? v7() : v7({ msecs: at.getTime() });
}

/** When a queue id was made, in milliseconds since 1970. */
export function timeOfId(id: string): number {
  return parseInt(id.slice(0, 8) + id.slice(9, 13), 16);
}
