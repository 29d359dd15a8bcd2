/** Definitions as people give them on a command line: fields, JSON, or a file of YAML or JSON. */
import { isMap, parseDocument, YAMLParseError } from "yaml";
import { CommandError, type Surroundings, UsageError } from "./surroundings.ts";

/** Where a definition comes from. */
export interface DefinitionOptions {
  readonly file?: string;
  readonly definition?: string;
}

/** The definition that the command line gives; `KEY=VALUE` goes over what a file says. */
export async function definitionFrom(
  fields: readonly string[],
  { file, definition }: DefinitionOptions,
  surroundings: Surroundings,
): Promise<Record<string, unknown>> {
  if (fields.length === 0 && file === undefined && definition === undefined) {
    throw new UsageError("give the definition: KEY=VALUE, --definition JSON or -f FILE");
  }
  const base = file !== undefined
    ? parsed(await readNamed(file, surroundings), file)
    : definition !== undefined
    ? parsed(definition, "--definition")
    : {};
  for (const field of fields) put(base, field);
  return base;
}

/** The text of a file that the command line names. */
export async function readNamed(file: string, { readText }: Surroundings): Promise<string> {
  try {
    return await readText(file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`${file} cannot be read: ${reason}`);
  }
}

function parsed(text: string, from: string): Record<string, unknown> {
  const document = parseDocument(text);
  const [error] = document.errors;
  if (error instanceof YAMLParseError) {
    throw new CommandError(`${from} is neither YAML nor JSON: ${error.message.split("\n")[0]}`);
  }
  if (!isMap(document.contents)) {
    throw new CommandError(`${from} is no definition: expected fields`);
  }
  return document.toJS() as Record<string, unknown>;
}

/** Puts `hosts.0.port=25` where it belongs. */
function put(into: Record<string, unknown>, field: string): void {
  const equals = field.indexOf("=");
  if (equals < 1) throw new UsageError(`${field}: expected KEY=VALUE`);
  const keys = field.slice(0, equals).split(".");
  if (keys.some((key) => key === "__proto__")) throw new UsageError(`${field}: no such field`);
  const document = parseDocument(field.slice(equals + 1));
  const value = document.errors.length > 0 ? field.slice(equals + 1) : document.toJS();
  let at: Record<string, unknown> = into;
  keys.forEach((key, index) => {
    if (Array.isArray(at) && !/^\d{1,4}$/.test(key)) {
      throw new UsageError(`${field}: ${key} is no place in a list`);
    }
    if (index === keys.length - 1) at[key] = value;
    else {
      const next = at[key] ?? (/^\d+$/.test(keys[index + 1]!) ? [] : {});
      if (typeof next !== "object") throw new UsageError(`${field}: ${key} has no fields`);
      at[key] = next;
      at = next as Record<string, unknown>;
    }
  });
}
