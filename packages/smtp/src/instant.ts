/**
 * Points in time of RFC 3339, compared without a clock or a calendar of the runtime's.
 *
 * This file must not know what the times are for.
 */

const days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/**
 * The seconds from 1970-01-01T00:00:00Z to an RFC 3339 `date-time` (a fraction of a second counts),
 * or `undefined` where it is not one.
 */
export function instantOf(text: string): number | undefined {
  const parts = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,9})?(?:Z|([+-])(\d\d):(\d\d))$/i
    .exec(text);
  if (parts === null) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const zoneHour = Number(parts[9] ?? 0);
  const zoneMinute = Number(parts[10] ?? 0);
  const leap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const longest = month === 2 && leap ? 29 : days[month - 1];
  if (longest === undefined || day < 1 || day > longest) return undefined;
  if (hour > 23 || minute > 59 || second > 60 || zoneHour > 23 || zoneMinute > 59) return undefined;
  const before = days.slice(0, month - 1).reduce((sum, length) => sum + length, 0) +
    (leap && month > 2 ? 1 : 0);
  const date = yearStart(year) - yearStart(1970) + before + day - 1;
  const zone = (zoneHour * 60 + zoneMinute) * (parts[8] === "-" ? -60 : 60);
  return ((date * 24 + hour) * 60 + minute) * 60 + second + Number(parts[7] ?? 0) - zone;
}

/** Days from the year 0 to the first of January, proleptic Gregorian. */
function yearStart(year: number): number {
  const past = year - 1;
  return year * 365 + Math.floor(past / 4) - Math.floor(past / 100) + Math.floor(past / 400);
}
