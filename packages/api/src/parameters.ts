/** Parameters that several operations take. */
import { z } from "zod";

/** The page size of a list. */
export const limitParameter = z.string()
  .regex(/^([1-9]\d{0,2}|1000)$/, { error: "expected a number from 1 to 1000" })
  .transform(Number)
  .default(100)
  .meta({
    type: "integer",
    minimum: 1,
    maximum: 1000,
    pattern: undefined,
    description: "The most items of a page; 100 when absent",
  });

/** A time; any offset is taken. */
export const timeParameter = z.iso
  .datetime({ offset: true, error: "expected a time like 2026-01-31T12:00:00Z" })
  .transform((text) => new Date(text))
  // An offset can lead out of the years that RFC 3339 and Postgres both know.
  .refine((at) => /^(?!0000)\d{4}-/.test(at.toISOString()), {
    error: "expected a year from 0001 to 9999",
  });

/** The number of a version of the configuration. */
export const versionParameter = z.string()
  .regex(/^[1-9]\d{0,14}$/, { error: "expected the number of a version" })
  .transform(Number)
  .meta({ type: "integer", minimum: 1, pattern: undefined });

/** A page of a list: some items, and where the next page begins. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    next: z.string().nullable().meta({ description: "`cursor` of the next page; null at the end" }),
  });
}
