/** Problem documents (RFC 9457), with every failing field by JSON pointer (RFC 6901). */
import { z } from "zod";

/** A problem document as the API answers it. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  errors: z.array(z.object({
    pointer: z.string().optional().meta({ description: "JSON pointer to the field of the body" }),
    parameter: z.string().optional().meta({ description: "The parameter of the path or query" }),
    line: z.int().optional().meta({ description: "The line of the body, counted from 1" }),
    detail: z.string(),
  })).optional(),
}).meta({
  id: "Problem",
  examples: [{
    type: "about:blank",
    title: "Invalid",
    status: 422,
    detail: "The relay is not valid",
    errors: [{ pointer: "/hosts/0/port", detail: "Too big: expected number to be <=65535" }],
  }],
});

/** @see problemSchema */
export type ProblemDocument = z.output<typeof problemSchema>;
