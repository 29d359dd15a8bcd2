/**
 * Fields that an object of a JSON text has more than once. `JSON.parse` keeps the last one and says
 * nothing, so that of two relays of one name the first would be lost unseen.
 */
import { escapePointer } from "@postern/config";

/** Where strings begin, and what opens, closes and parts; numbers and words need no look. */
const MARK = /["{}[\],]/g;

/** An object or a list that is being read. */
interface Open {
  /** The fields so far; undefined of a list. */
  readonly fields: Set<string> | undefined;
  /** The field, or the index, that is being read. */
  at: string | number;
  /** Whether a string that comes now is the name of a field. */
  beforeName: boolean;
}

/** The JSON pointer to the first field that its object has already; the text must be JSON. */
export function repeatedField(text: string): string | undefined {
  const open: Open[] = [];
  let top: Open | undefined;
  MARK.lastIndex = 0;
  for (let found = MARK.exec(text); found !== null; found = MARK.exec(text)) {
    let [token] = found;
    if (token === '"') {
      MARK.lastIndex = endOfString(text, found.index);
      if (top?.beforeName) token = text.slice(found.index, MARK.lastIndex);
    }
    if (token === "{" || token === "[") {
      const fields = token === "{" ? new Set<string>() : undefined;
      top = { fields, at: 0, beforeName: token === "{" };
      open.push(top);
    } else if (token === "}" || token === "]") {
      open.pop();
      top = open.at(-1);
    } else if (token === ",") {
      if (top!.fields !== undefined) top!.beforeName = true;
      else top!.at = top!.at as number + 1;
    } else if (top?.beforeName) {
      top.beforeName = false;
      top.at = token.includes("\\") ? JSON.parse(token) as string : token.slice(1, -1);
      if (top.fields!.has(top.at)) {
        return open.map(({ at }) => `/${escapePointer(String(at))}`).join("");
      }
      top.fields!.add(top.at);
    }
  }
  return undefined;
}

/** Where the string that begins here has ended: by hand, as an expression would remember each character. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1);; quote = text.indexOf('"', quote + 1)) {
    let before = quote;
    while (text[before - 1] === "\\") before -= 1;
    if ((quote - before) % 2 === 0) return quote + 1;
  }
}
