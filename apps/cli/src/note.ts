/** `--note`: why the configuration is changed, for those commands that make a version of it. */
import { Option } from "commander";
import { UsageError } from "./surroundings.ts";

/** The option. */
export function noteOption(): Option {
  return new Option("--note <text>", "why, for the list of versions");
}

/** The request's header for it. */
export function noted(note: string | undefined): { "Postern-Note"?: string } {
  if (note === undefined) return {};
  if (!/^[\x20-\x7e]*$/.test(note)) throw new UsageError("--note: expected one line of ASCII");
  return { "Postern-Note": note };
}
