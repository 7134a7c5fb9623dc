/** Writes what a full run has found: the tables of docs/bench/README.md, and a chart for each group. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chart } from "./harness/chart.ts";
import { figureTable } from "./harness/figure-table.ts";
import type { Row } from "./harness/goals.ts";
import type { Group, Outcome } from "./harness/group.ts";
import type { Machine } from "./harness/json.ts";
import { withFigures } from "./harness/page.ts";
import { ROW_HEADER, rowLines } from "./harness/row-table.ts";
import { markdownTable } from "./harness/table.ts";

/** A full run, as it is published. */
export interface Run {
  readonly machine: Machine;
  readonly results: readonly (readonly [Group, Outcome])[];
  readonly rows: readonly Row[];
  readonly leftOut: readonly string[];
  readonly seed: number;
}

const folder = fileURLToPath(new URL("../docs/bench/", import.meta.url));

function section(group: Group, { figures, notes }: Outcome): string {
  const { header, body } = figureTable(group, figures);
  return [
    `### ${group.name}: ${group.title}`,
    `![${group.title}](${group.name}.svg)`,
    `${group.unit}, minimum (median)`,
    markdownTable(header, body),
    ...(notes?.length ? [notes.map((note) => `- ${note}`).join("\n")] : []),
  ].join("\n\n");
}

/** What stands between the marks. */
export function pageText({ machine, results, rows, leftOut, seed }: Run): string {
  const shown = results.filter(([, { figures }]) => figures.length > 0);
  return [
    `${machine.machine}; Node.js ${machine.node}; seed ${seed}`,
    markdownTable(ROW_HEADER, rowLines(rows)),
    ...(leftOut.length > 0 ? [`Left out:\n\n${leftOut.map((what) => `- ${what}`).join("\n")}`] : []),
    ...shown.map(([group, outcome]) => section(group, outcome)),
  ].join("\n\n");
}

export function writePage(run: Run): void {
  const page = `${folder}README.md`;
  writeFileSync(page, withFigures(readFileSync(page, "utf8"), pageText(run)));
  for (const [group, { figures }] of run.results) {
    if (figures.length > 0) writeFileSync(`${folder}${group.name}.svg`, chart(group, figures));
  }
}
