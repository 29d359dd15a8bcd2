/**
 * Processor time of a mail server, all its processes together. On a machine that others use too, this
 * is steadier than a rate: it says what a message costs, whoever else is running.
 */

/** The clock ticks of /proc; 100 on every Linux of today. */
const TICKS = 100;

interface Process {
  readonly parent: number;
  /** Seconds of its own and of those of its children that have ended. */
  readonly seconds: number;
}

/** Seconds that these processes and all their descendants have used so far. */
export function processorSeconds(roots: readonly number[]): number {
  const all = new Map<number, Process>();
  for (const { name } of Deno.readDirSync("/proc")) {
    const found = /^\d+$/.test(name) ? read(Number(name)) : undefined;
    if (found !== undefined) all.set(Number(name), found);
  }
  const belongs = new Set(roots);
  for (let before = 0; before !== belongs.size;) {
    before = belongs.size;
    for (const [pid, { parent }] of all) if (belongs.has(parent)) belongs.add(pid);
  }
  return [...belongs].reduce((sum, pid) => sum + (all.get(pid)?.seconds ?? 0), 0);
}

function read(pid: number): Process | undefined {
  let text: string;
  try {
    text = Deno.readTextFileSync(`/proc/${pid}/stat`);
  } catch {
    // It ended meanwhile.
    return undefined;
  }
  // The name before the bracket may hold anything; proc(5) counts the fields from 1.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ").map(Number);
  const ticks = fields.slice(11, 15).reduce((sum, value) => sum + value, 0);
  return { parent: fields[1] ?? 0, seconds: ticks / TICKS };
}
