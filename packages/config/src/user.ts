/** A user: who may authenticate and submit. No password is kept, only a SCRAM verifier. */
import { z } from "zod";
import { senderLimitsSchema } from "./limits.ts";
import { plainText } from "./names.ts";
import { patternSchema } from "./pattern.ts";

/**
 * A password as it is given: in the clear, as a SCRAM-SHA-256 verifier in the form of PostgreSQL
 * (`SCRAM-SHA-256$4096:salt$stored:server`), or by the fingerprint of the one in force.
 */
export const passwordSchema = z
  .union([
    plainText.min(8).max(1024),
    z.strictObject({
      scram: z.string().regex(
        /^SCRAM-SHA-256\$\d{4,7}:[A-Za-z0-9+/]+=*\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/,
        { error: "expected SCRAM-SHA-256$iterations:salt$storedKey:serverKey" },
      ),
    }),
    z.strictObject({
      sealed: plainText.max(64).meta({ description: "The fingerprint of the one in force" }),
      box: plainText.max(1024).exactOptional().meta({
        description: "Never answered: the verifier as it lies in the store",
      }),
    }),
  ], { error: 'expected a password of at least 8 characters, {"scram": …} or {"sealed": …}' })
  .meta({
    id: "Password",
    description: "Given as text or as a verifier, answered as a fingerprint",
  });

/** A password on its way in, or as it lies in the store: `sealed` with the verifier as `box`. */
export type Password = z.output<typeof passwordSchema>;

/** The definition of a user; its name is what it authenticates as. */
export const userSchema = z
  .strictObject({
    password: passwordSchema.optional().meta({
      description: "Absent: the user authenticates by token, or not yet",
    }),
    disabled: z.boolean().default(false),
    mayRelay: z.boolean().default(true),
    senders: patternSchema.optional().meta({
      description: "Reverse-paths it may use; any when absent",
    }),
    limits: senderLimitsSchema.optional(),
  })
  .meta({ id: "User", examples: [{ senders: [{ wildcard: "*@example.com" }] }] });

/** @see userSchema */
export type User = z.output<typeof userSchema>;
