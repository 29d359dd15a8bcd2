/** A content transfer encoding (RFC 2045 §6) that takes octets as they come. */
export interface TransferEncoder {
  /** Encodes more octets, split anywhere; what cannot be encoded yet is kept. */
  write(octets: Uint8Array): Uint8Array;
  /** The octets ended and a boundary follows, with the line end that goes before it. */
  end(): Uint8Array;
  /** The octets ended and so does the content: as {@link end}, and ends the last line. */
  finish(): Uint8Array;
}
