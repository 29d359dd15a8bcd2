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

/** A text that Postgres can take: it has no place for NUL. */
export const textParameter = z.string().refine((text) => !text.includes("\0"), {
  error: "a NUL character cannot be looked for",
});

/** A page of a list: some items, and where the next page begins. */
export function pageOf<Item extends z.ZodType>(item: Item) {
  return z.object({
    items: z.array(item),
    next: z.string().nullable().meta({ description: "`cursor` of the next page; null at the end" }),
  });
}
