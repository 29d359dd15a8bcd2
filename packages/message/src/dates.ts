/**
 * Dates as a header writes them (RFC 5322 §3.3), both ways.
 *
 * This file must not know the present time or the machine's time zone.
 */

const DAYS = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** The obsolete zone names that mean something (RFC 5322 §4.3), in minutes east of UTC. */
const ZONES: Readonly<Record<string, number>> = {
  EST: -300,
  EDT: -240,
  CST: -360,
  CDT: -300,
  MST: -420,
  MDT: -360,
  PST: -480,
  PDT: -420,
};

const DATE =
  /^(?:[a-z]{3}\s*,)?\s*(\d{1,2})\s+([a-z]{3})[a-z]*\s+(\d{2,4})\s+(\d{1,2})\s*:\s*(\d{2})(?:\s*:\s*(\d{2}))?\s*([+-]\d{4}|[a-z]+)?/i;

/** The date in RFC 5322 §3.3 form, in UTC: `Tue, 24 Nov 2026 00:32:08 +0000`. */
export function rfc5322Date(date: Date): string {
  const two = (n: number) => String(n).padStart(2, "0");
  const time = [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()].map(two).join(":");
  const year = String(date.getUTCFullYear()).padStart(4, "0");
  return `${DAYS[date.getUTCDay()]}, ${date.getUTCDate()} ${
    MONTHS[date.getUTCMonth()]
  } ${year} ${time} +0000`;
}

/** Reads a date with the obsolete forms of §4.3; nothing if it is none. */
export function parseDate(text: string): Date | undefined {
  const found = DATE.exec(text.replace(/\([^()]*\)/g, " ").trim());
  if (found === null) return undefined;
  const [, day, monthName, yearText, hour, minute, second, zone] = found;
  const month = MONTHS.findIndex((name) => name.toLowerCase() === monthName!.toLowerCase());
  const [d, h, m, s] = [Number(day), Number(hour), Number(minute), Number(second ?? 0)];
  if (month < 0 || d < 1 || d > 31 || h > 23 || m > 59 || s > 60) return undefined;
  let year = Number(yearText);
  // §4.3: two digits below 50 are 20yy, other years of two or three digits count from 1900.
  if (yearText!.length === 2 && year < 50) year += 2000;
  else if (yearText!.length < 4) year += 1900;
  const date = new Date(0);
  date.setUTCFullYear(year, month, d);
  date.setUTCHours(h, m - zoneMinutes(zone ?? ""), s);
  return date;
}

function zoneMinutes(zone: string): number {
  const digits = /^([+-])(\d{2})(\d{2})$/.exec(zone);
  if (digits === null) return ZONES[zone.toUpperCase()] ?? 0;
  const minutes = Number(digits[2]) * 60 + Number(digits[3]);
  return digits[1] === "-" ? -minutes : minutes;
}
