/**
 * A pattern that rules and domains match text with: a literal, a wildcard or a regular expression.
 * Regular expressions are those of RE2: no input makes one take more than linear time.
 */
import { z } from "zod";
import { plainText } from "./names.ts";

const text = plainText.min(1).max(1000);

const onePattern = z.union([
  text.meta({ description: "This text, whatever its case" }),
  z.strictObject({
    wildcard: text.meta({ description: "`*` is any text, `?` any one character" }),
  }),
  z.strictObject({
    regex: text.meta({ description: "An RE2 expression; found anywhere unless anchored" }),
  }),
], { error: 'expected text, {"wildcard": …} or {"regex": …}' });

/** One pattern, or several of which one must match. Upper and lower case are the same. */
export const patternSchema = z
  .union([onePattern, z.array(onePattern).min(1).max(1000)], {
    error: 'expected text, {"wildcard": …}, {"regex": …}, or a list of these',
  })
  .meta({ id: "Pattern", examples: ["sales@example.com", { wildcard: "*@example.com" }] });

/** @see patternSchema */
export type Pattern = z.output<typeof patternSchema>;

/** One of a pattern's alternatives. */
export type OnePattern = z.output<typeof onePattern>;
