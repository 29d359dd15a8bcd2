/** A relay domain: one that the gateway accepts mail for, and the relay that its mail goes to. */
import { z } from "zod";
import { resourceName } from "./names.ts";

/** The definition of a relay domain; its name is the domain itself. */
export const domainSchema = z
  .strictObject({
    relay: resourceName.meta({ description: "The name of the relay for this domain's mail" }),
  })
  .meta({ id: "Domain", examples: [{ relay: "internal" }] });

/** @see domainSchema */
export type Domain = z.output<typeof domainSchema>;
