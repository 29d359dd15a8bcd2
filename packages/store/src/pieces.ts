/** How content lies in the store. */

/** Content up to this size travels with its message; larger content goes in pieces of this size. */
export const PIECE_BYTES = 256 * 1024;

/** Content below this size is claimed with its delivery; the rest is read when it is delivered. */
export const INLINE_BYTES = 64 * 1024;

/**
 * Pieces on their way to Postgres, or from there, at once: of each the driver holds several copies.
 * More would not be faster, and leave no connection to what is small.
 */
export const PIECES_AT_ONCE = 2;
