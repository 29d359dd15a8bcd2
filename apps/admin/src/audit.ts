/** The operation that reads the audit log. */
import { auditDescriptions as described } from "@postern/api";
import type { AuditLog } from "@postern/store";
import { readQuery } from "./input.ts";
import type { Operation } from "./operation.ts";

/** The operation. */
export function auditOperations(audit: AuditLog): Operation[] {
  return [{
    ...described.list,
    serve: async (context) => {
      const { limit, cursor, ...conditions } = readQuery(context, described.list.query);
      const found = await audit.find({ ...conditions, limit: limit + 1, before: cursor });
      const items = found.slice(0, limit);
      const next = found.length > limit ? String(items.at(-1)!.id) : null;
      return context.json({ items: items.map(({ id: _, ...shown }) => shown), next });
    },
  }];
}
