/** A client: who may send through the gateway to anywhere, known by its network. */
import { z } from "zod";
import { network } from "./names.ts";

/** The definition of a client. */
export const clientSchema = z
  .strictObject({
    networks: z.array(network).min(1).max(10_000).meta({
      description: "Where the client connects from",
    }),
  })
  .meta({ id: "Client", examples: [{ networks: ["10.0.0.0/8"] }] });

/** @see clientSchema */
export type Client = z.output<typeof clientSchema>;
