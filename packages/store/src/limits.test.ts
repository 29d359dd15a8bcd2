import { expect, test } from "vitest";
import { type Allowance, allowed, atOnce, refill, spend, untilAllowed } from "./limits.ts";

test("a rate is kept over any period, and a burst is a tenth of it", () => {
  const rate = { perMinute: 600 };
  let kept: Allowance | null = null;
  let sent = 0;
  const times: number[] = [];
  for (let now = 0; now <= 120_000; now += 50) {
    const full: Allowance = refill(rate, kept, now);
    const count = Math.min(allowed(full), 7);
    kept = spend(full, count);
    sent += count;
    for (let one = 0; one < count; one += 1) times.push(now);
  }
  expect(sent).toBeGreaterThanOrEqual(1200);
  expect(sent).toBeLessThanOrEqual(1260);
  const most = Math.max(
    ...times.map((from) => times.filter((at) => at >= from && at < from + 60_000).length),
  );
  expect(most).toBeLessThanOrEqual(660);
});

test("the narrowest period decides, and says how long to wait", () => {
  const rate = { perSecond: 10, perHour: 3600 };
  const first = refill(rate, null, 0);
  expect(allowed(first)).toBe(1);
  const spent = spend(first, 1);
  expect(allowed(spent)).toBe(0);
  expect(untilAllowed(rate, spent)).toBe(100);
  expect(allowed(refill(rate, spent, 99))).toBe(0);
  expect(allowed(refill(rate, spent, 100))).toBe(1);
  expect(untilAllowed({ perHour: 36 }, { at: 0, left: { perHour: 0 } })).toBe(100_000);
});

test("a rate that is new or was made larger starts full; a clock set back gives nothing", () => {
  const rate = { perSecond: 50 };
  expect(allowed(refill(rate, { at: 0, left: { perHour: 0 } }, 0))).toBe(5);
  expect(allowed(refill(rate, { at: 5000, left: { perSecond: 0 } }, 0))).toBe(0);
});

test("deliveries at once keep to the bounds in force", () => {
  expect(atOnce({ minimum: 1, maximum: 20 }, null)).toBe(5);
  expect(atOnce({ minimum: 8, maximum: 20 }, null)).toBe(8);
  expect(atOnce({ minimum: 1, maximum: 3 }, 12.5)).toBe(3);
  expect(atOnce({ minimum: 1, maximum: 20 }, 12.5)).toBe(12.5);
});
