/** Figures as a table: minimum/median/maximum of the runs, the ratio of the medians, the target. */
import type { Figures } from "./scenarios.ts";

/** What Postern is to reach in one figure. */
export interface Target {
  readonly figure: string;
  /** A ratio to Postfix's figure, or a figure of Postern's own. */
  readonly of: "Postfix" | "itself";
  readonly least?: number;
  readonly most?: number;
  /** The figures of Postfix's that it is compared with, where they are another scenario's. */
  readonly against?: { readonly scenario: string; readonly figure: string };
}

/** The runs of one scenario. */
export interface Measured {
  readonly scenario: string;
  readonly title: string;
  readonly targets: readonly Target[];
  readonly postfix: readonly Figures[];
  readonly postern: readonly Figures[];
}

/** One row of the table. */
export interface Row {
  readonly scenario: string;
  readonly figure: string;
  readonly postfix: string;
  readonly postern: string;
  readonly ratio: string;
  readonly target: string;
}

/** The rows of all scenarios. */
export function rowsOf(all: readonly Measured[]): Row[] {
  return all.flatMap((measured) => {
    const figures = Object.keys(measured.postern[0] ?? measured.postfix[0] ?? {});
    return figures.map((figure): Row => {
      const target = measured.targets.find((one) => one.figure === figure);
      const own = valuesOf(measured.postern, figure);
      const shown = valuesOf(measured.postfix, figure);
      const { against } = target ?? {};
      const compared = against === undefined
        ? shown
        : valuesOf(all.find((one) => one.scenario === against.scenario)?.postfix, against.figure);
      const ratio = own.length > 0 && compared.length > 0 ? median(own) / median(compared) : NaN;
      return {
        scenario: `${measured.scenario}, ${measured.title}`,
        figure,
        postfix: spread(shown),
        postern: spread(own),
        ratio: Number.isNaN(ratio) ? "" : ratio.toFixed(2),
        target: verdict(target, target?.of === "itself" ? median(own) : ratio),
      };
    });
  });
}

/** The table in Markdown. */
export function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ scenario, figure, postfix, postern, ratio, target }) =>
    `| ${scenario} | ${figure} | ${postfix} | ${postern} | ${ratio} | ${target} |`
  );
  return [
    "| scenario | figure | Postfix | Postern | ratio | target |",
    "| --- | --- | --- | --- | --- | --- |",
    ...lines,
  ].join("\n");
}

function verdict(target: Target | undefined, value: number): string {
  if (target === undefined) return "";
  const { least, most } = target;
  const bound = least === undefined ? `≤ ${most}` : `≥ ${least}`;
  if (Number.isNaN(value)) return bound;
  const met = (least === undefined || value >= least) && (most === undefined || value <= most);
  return `${bound}: ${met ? "met" : "not met"}`;
}

function valuesOf(runs: readonly Figures[] | undefined, figure: string): number[] {
  return (runs ?? []).flatMap((run) => run[figure] === undefined ? [] : [run[figure]]);
}

function spread(values: readonly number[]): string {
  if (values.length === 0) return "";
  const sorted = [...values].sort((a, b) => a - b);
  const shown = [sorted[0]!, median(sorted), sorted.at(-1)!];
  const digits = median(sorted) < 20 ? 2 : 0;
  return (values.length === 1 ? [shown[1]!] : shown).map((value) => value.toFixed(digits)).join(
    "/",
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1
    ? sorted[Math.floor(middle)]!
    : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
