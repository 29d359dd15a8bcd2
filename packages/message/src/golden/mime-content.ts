/** MIME content of every shape for property tests, and a way to cut it up. */
import fc from "fast-check";

/** Pieces of `whole`, cut at the offsets. */
export function pieces(whole: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const offsets = [0, ...cuts.map((cut) => cut % (whole.length + 1)), whole.length];
  offsets.sort((a, b) => a - b);
  return offsets.slice(1).map((end, i) => whole.slice(offsets[i], end));
}

const octets = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

const asciiLine = fc.string({ unit: fc.constantFrom(..."ab =-.\t"), maxLength: 120 });
const eightBitLine = fc.string({
  unit: fc.constantFrom(..."ab =-.\t\u00e9\u0080\u00ff"),
  maxLength: 120,
});
const longLine = fc.integer({ min: 3900, max: 4300 }).map((length) => "x".repeat(length));

function body(line: fc.Arbitrary<string>): fc.Arbitrary<string> {
  // A first character of its own keeps lines from being boundaries.
  return fc.array(line.map((text) => `.${text}`), { maxLength: 8 }).map((lines) =>
    lines.join("\r\n")
  );
}

/** An entity as text with an octet per character: header fields, empty line, body. */
function entity(depth: number): fc.Arbitrary<string> {
  const type = fc.constantFrom("", "text/plain; charset=utf-8", "application/pdf", "image/png");
  const leaf = fc.oneof(
    fc.record({ type, encoding: fc.constantFrom("", "7bit"), body: body(asciiLine) }),
    fc.record({
      type,
      encoding: fc.constantFrom("", "7bit", "8bit", "8bit", "binary"),
      body: body(fc.oneof(eightBitLine, { weight: 1, arbitrary: longLine })),
    }),
    fc.record({
      type,
      encoding: fc.constant("base64"),
      body: fc.string({ maxLength: 90 }).map((text) => btoa(text.replace(/[^ -~]/g, "?"))),
    }),
  ).map(({ type, encoding, body }) =>
    (type === "" ? "" : `Content-Type: ${type}\r\n`) +
    (encoding === "" ? "" : `Content-Transfer-Encoding: ${encoding}\r\n`) + `\r\n${body}`
  );
  if (depth === 0) return leaf;
  const inner = entity(depth - 1);
  const multipart = fc.record({
    boundary: fc.stringMatching(/^[a-z][a-z0-9'_.=?]{0,20}[a-z]$/).map((b) => `${b}-${depth}`),
    parts: fc.array(inner, { minLength: 1, maxLength: 3 }),
    encoding: fc.constantFrom("", "Content-Transfer-Encoding: 8bit\r\n"),
    preamble: fc.constantFrom("", "preamble\r\n", "\r\n"),
    epilogue: fc.constantFrom("", "\r\n", "\r\nepilogue\r\n"),
  }).map(({ boundary, parts, encoding, preamble, epilogue }) =>
    `Content-Type: multipart/mixed; boundary="${boundary}"\r\n${encoding}\r\n${preamble}` +
    parts.map((part) => `--${boundary}\r\n${part}\r\n`).join("") + `--${boundary}--${epilogue}`
  );
  const message = inner.map((content) =>
    `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: inner\r\n${content}`
  );
  return fc.oneof(leaf, multipart, message);
}

/** Content that can be converted. */
export const contents: fc.Arbitrary<Uint8Array> = entity(3).map((text) =>
  octets(`MIME-Version: 1.0\r\nSubject: outer\r\n${text}\r\n`)
);
