/**
 * Punycode (RFC 3492): the ASCII form of a label with other characters in it, without the `xn--`.
 *
 * This file must not know domains.
 */

const base = 36;
const tMin = 1;
const tMax = 26;
const maxDelta = 0x7fffffff;

function adapt(delta: number, points: number, first: boolean): number {
  let rest = first ? Math.floor(delta / 700) : delta >> 1;
  rest += Math.floor(rest / points);
  let k = 0;
  while (rest > ((base - tMin) * tMax) >> 1) {
    rest = Math.floor(rest / (base - tMin));
    k += base;
  }
  return k + Math.floor(((base - tMin + 1) * rest) / (rest + 38));
}

function threshold(k: number, bias: number): number {
  return Math.min(Math.max(k - bias, tMin), tMax);
}

/** Encodes a label; `undefined` where it is too long to be one. */
export function encodePunycode(label: string): string | undefined {
  const points = Array.from(label, (character) => character.codePointAt(0)!);
  if (points.length > 63) return undefined;
  let out = points.filter((point) => point < 128).map((point) => String.fromCharCode(point))
    .join("");
  const basic = out.length;
  let handled = basic;
  if (basic > 0) out += "-";
  let n = 128;
  let delta = 0;
  let bias = 72;
  while (handled < points.length) {
    const next = Math.min(...points.filter((point) => point >= n));
    delta += (next - n) * (handled + 1);
    if (delta > maxDelta) return undefined;
    n = next;
    for (const point of points) {
      if (point < n) delta++;
      if (point !== n) continue;
      let q = delta;
      for (let k = base;; k += base) {
        const t = threshold(k, bias);
        if (q < t) break;
        out += toDigit(t + ((q - t) % (base - t)));
        q = Math.floor((q - t) / (base - t));
      }
      out += toDigit(q);
      bias = adapt(delta, handled + 1, handled === basic);
      delta = 0;
      handled++;
    }
    delta++;
    n++;
  }
  return out;
}

/** 0 to 25 are a–z, 26 to 35 are 0–9. */
function toDigit(value: number): string {
  return value < 26 ? String.fromCharCode(97 + value) : String.fromCharCode(22 + value);
}

/** Decodes a label; `undefined` where it is not Punycode. */
export function decodePunycode(label: string): string | undefined {
  const split = label.lastIndexOf("-");
  const points = Array.from(label.slice(0, Math.max(split, 0)), (c) => c.codePointAt(0)!);
  let n = 128;
  let i = 0;
  let bias = 72;
  let at = split > 0 ? split + 1 : 0;
  while (at < label.length) {
    const before = i;
    let weight = 1;
    for (let k = base;; k += base) {
      const digit = fromDigit(label.charCodeAt(at++));
      if (digit === undefined) return undefined;
      i += digit * weight;
      if (i > maxDelta) return undefined;
      const t = threshold(k, bias);
      if (digit < t) break;
      weight *= base - t;
    }
    const length = points.length + 1;
    bias = adapt(i - before, length, before === 0);
    n += Math.floor(i / length);
    if (n > 0x10ffff || (n >= 0xd800 && n <= 0xdfff)) return undefined;
    i %= length;
    points.splice(i++, 0, n);
  }
  return String.fromCodePoint(...points);
}

function fromDigit(code: number): number | undefined {
  if (code >= 97 && code <= 122) return code - 97;
  if (code >= 65 && code <= 90) return code - 65;
  if (code >= 48 && code <= 57) return code - 22;
  return undefined;
}
