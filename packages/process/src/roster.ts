/**
 * Who is there now, where many come and go.
 *
 * Not a Set: when a Set makes itself a new table, V8 leaves the old one behind, which still holds who
 * was in it and refers to the new one. From table to table, what left long ago looks alive to the
 * collector of young objects, which then copies it over to the old ones: with a connection for each
 * message, an eighth of all that the messages had allocated.
 */

/** The place of one member, to leave it by. */
export interface Membership<T> {
  readonly member: T;
  /** Where it stands; the roster's own business. */
  at: number;
}

/** Members in no order. */
export class Roster<T> {
  readonly #places: Membership<T>[] = [];

  get size(): number {
    return this.#places.length;
  }

  /** Takes one in. */
  add(member: T): Membership<T> {
    const place = { member, at: this.#places.length };
    this.#places.push(place);
    return place;
  }

  /** Lets one go; it may have gone before. */
  remove(place: Membership<T>): void {
    if (this.#places[place.at] !== place) return;
    const last = this.#places.pop()!;
    if (last === place) return;
    this.#places[place.at] = last;
    last.at = place.at;
  }

  /**
   * Calls `visit` for each member that is there from beginning to end. Meanwhile members may come and
   * go; one may be visited twice then.
   */
  forEach(visit: (member: T) => void): void {
    // From the end: who takes the place of one that left was visited already.
    for (let at = this.#places.length - 1; at >= 0; at -= 1) {
      const place = this.#places[at];
      if (place !== undefined) visit(place.member);
    }
  }
}
