/** What differs between two configurations, as the API shows it: secrets as fingerprints only. */
import type { ShownDifference } from "@postern/api";
import {
  type Change,
  type Configuration,
  differenceOf,
  type Resource,
  type ResourceKind,
  withoutSecrets,
} from "@postern/config";
import type { ResourceDifference } from "@postern/store";

/** The difference that changes make. */
export function differenceMade(
  current: Configuration,
  changes: readonly Change[],
): ShownDifference {
  return shownDifference(
    changes.map(({ kind, name, body }) => ({
      kind,
      name,
      from: current[kind].get(name) ?? null,
      to: body,
    })),
  );
}

/** The differences as they may be shown. */
export function shownDifference(differences: readonly ResourceDifference[]): ShownDifference {
  const shown: ShownDifference = { added: [], changed: [], removed: [] };
  for (const { kind, name, from, to } of differences) {
    if (from === null && to !== null) {
      shown.added.push({ kind, name, definition: shownBody(kind, to) });
    } else if (from !== null && to === null) {
      shown.removed.push({ kind, name, definition: shownBody(kind, from) });
    } else if (from !== null && to !== null) {
      const changes = differenceOf(shownBody(kind, from), shownBody(kind, to));
      if (changes.length > 0) shown.changed.push({ kind, name, changes });
    }
  }
  return shown;
}

function shownBody(kind: ResourceKind, body: Resource): Record<string, unknown> {
  return { ...withoutSecrets(kind, body) };
}
