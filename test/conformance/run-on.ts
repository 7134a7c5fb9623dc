import { type Told, tellings, toldTo } from "./drift.ts";
import { Program } from "./program.ts";
import type { Needs, Row, Section } from "./row.ts";
import { sections } from "./rows/index.ts";
import type { Target } from "./target.ts";
import { size, words } from "./words.ts";

/** A row with its place: `MAP_DMA 12`, counted from 1 within its call. */
export interface PlacedRow {
  readonly id: string;
  readonly section: Section;
  readonly row: Row;
}

export const allRows: readonly PlacedRow[] = placed();

function placed(): PlacedRow[] {
  const counts = new Map<string, number>();
  return sections.flatMap((section) =>
    section.rows.map((row) => {
      const count = (counts.get(section.call) ?? 0) + 1;
      counts.set(section.call, count);
      return { id: `${section.call} ${count}`, section, row };
    }),
  );
}

/** The rows that are about this target. */
export function rowsOf(target: Target): PlacedRow[] {
  return allRows.filter(({ row: [, where] }) => where.covers(target.platform, target.pageSize));
}

export function needsOf(row: Row): Needs {
  return row[5] ?? {};
}

/** What the row says that the target's kernel answers. */
export function expectedOf({ row }: PlacedRow, { linux }: Target): Told {
  return toldTo(row[3], linux);
}

/** Whether some kernel may crash at the row. */
export function mayCrash(row: Row): boolean {
  return tellings(row[3]).some(({ orCrash }) => orCrash);
}

/** What the target answers to a row, in the words of the row's own answer. */
export function answerOf({ section, row }: PlacedRow, target: Target): string {
  const machine = target.begin(needsOf(row));
  const act = row[4];
  const program = new Program(machine, target.platform);
  const before = program.locked;
  try {
    const answer = words(act(program.begin(section.begin)));
    program.leave();
    const stays = program.locked - before;
    return stays === 0n ? answer : `${answer}; ${size(stays)} stay charged`;
  } catch (error) {
    if (machine.crashed?.(error)) return "Oops";
    program.leave();
    throw error;
  }
}

/** How the rows of a target went. */
export interface Summary {
  readonly target: string;
  readonly rows: number;
  readonly notRun: readonly { readonly id: string; readonly reason: string }[];
  readonly differences: readonly Difference[];
}

export interface Difference {
  readonly id: string;
  readonly situation: string;
  readonly expected: string;
  /** The answer, or the error that was thrown instead of one. */
  readonly got: string;
  /** The row's process came to no answer: the kernel that was to give one stands still, or has ended it. */
  readonly unanswered?: true;
}

/**
 * Runs every row that is about the target, or those of `chosen`, and reports line by line: the rows that were not run with
 * the reason, and every difference. Stops at nothing.
 */
export function runRows(
  target: Target,
  report: (line: string) => void,
  chosen: readonly PlacedRow[] = rowsOf(target),
): Summary {
  const notRun: Summary["notRun"][number][] = [];
  const differences: Difference[] = [];
  for (const placed of chosen) {
    const { id, row } = placed;
    const [situation] = row;
    const expected = expectedOf(placed, target).answer;
    const reason = target.cannot(needsOf(row));
    if (reason !== undefined) {
      notRun.push({ id, reason });
      report(`not run: ${id} (${situation}): ${reason}`);
      continue;
    }
    const got = answered(placed, target);
    if (got === expected) continue;
    differences.push({ id, situation, expected, got });
    report(`different: ${id} (${situation}): expected "${expected}", got "${got}"`);
  }
  report(`${target.name}: ${chosen.length - notRun.length} rows run, ${differences.length} different`);
  return { target: target.name, rows: chosen.length - notRun.length, notRun, differences };
}

function answered(placed: PlacedRow, target: Target): string {
  try {
    return answerOf(placed, target);
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  }
}
