/** A client: who may send through the gateway, known by its network or its certificate. */
import { z } from "zod";
import { sourceRoutesSchema } from "./domain.ts";
import { senderLimitsSchema } from "./limits.ts";
import { domainPattern, network, sha256InHex } from "./names.ts";

/** The definition of a client. */
export const clientSchema = z
  .strictObject({
    networks: z.array(network).max(10_000).default([]).meta({
      description: "Where the client connects from",
    }),
    certificates: z
      .array(
        sha256InHex().meta({ type: "string" }),
      )
      .max(10_000)
      .default([])
      .meta({ description: "SHA-256 fingerprints of the certificates it shows" }),
    mayRelay: z.boolean().default(true).meta({
      description: "Whether it may send to domains that are not ours",
    }),
    senderDomains: z.array(domainPattern).max(10_000).optional().meta({
      description: "Domains its reverse-paths may have; any when absent",
    }),
    limits: senderLimitsSchema.optional(),
    sourceRoutes: sourceRoutesSchema.default("strip"),
    trust: z
      .array(z.enum(["vrfy", "expn", "etrn", "xclient", "xforward", "auth"]))
      .default([])
      .meta({ description: "Commands it may use, and whether its AUTH= is believed" }),
  })
  .refine(({ networks, certificates }) => networks.length + certificates.length > 0, {
    error: "a client is known by networks, certificates or both",
    path: ["networks"],
  })
  .meta({ id: "Client", examples: [{ networks: ["10.0.0.0/8"] }] });

/** @see clientSchema */
export type Client = z.output<typeof clientSchema>;
