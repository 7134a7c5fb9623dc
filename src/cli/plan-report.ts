/** What a plan costs, which limit comes first, and the same memory in pages of other sizes: for people. */
import { bytes, roughly } from "../hex.ts";
import { wrapped } from "../picture/text.ts";
import { plainText, size } from "../picture/words.ts";
import type { PageChoice } from "../plan/compare.ts";
import type { WindowPlan } from "../plan/index.ts";
import type { PlanLimit } from "../plan/limits.ts";

/** What full growth takes. */
export function costLines({ kind, fullGrowth, chargeBytes }: WindowPlan): string[] {
  const { memoryBytes, lockedBytes, maps, mapsAvailable } = fullGrowth;
  if (kind === "noiommu")
    return [line("growth", `${size(memoryBytes)} of memory when all is there; nothing is locked, nothing mapped`)];
  const tables = chargeBytes === 0n ? "" : ` (${size(chargeBytes)} of it tables)`;
  const entries = mapsAvailable === null ? "" : ` of ${mapsAvailable} that the kernel takes`;
  return [
    line("growth", `${size(memoryBytes)} of memory when all is there, ${size(lockedBytes)} locked${tables}`),
    line("", `in up to ${maps} maps${entries}: one for each page, if all are allocated one by one`),
  ];
}

/** Which limit growth meets, and at how much memory; the first one first. */
export function limitLines(limits: readonly PlanLimit[], { fullGrowth }: WindowPlan): string[] {
  const all = size(fullGrowth.memoryBytes);
  const lines = limits.map(({ what: limit, unit, needed, available, at }, i) => {
    const what = limit === "RLIMIT_MEMLOCK" ? "lockable memory (ulimit -l)" : limit;
    const has =
      available === null ? "no limit" : `${amountOf(available, unit)} there, ${amountOf(needed, unit)} needed`;
    if (at === null) return `${what}: not met (${has})`;
    return `${what}: ${i === 0 ? "comes first, " : ""}at ${size(at)} of ${all} (${has})`;
  });
  return lines.map((text, i) => line(i === 0 ? "limits" : "", text));
}

/** An amount of what a limit counts. */
export function amountOf(value: bigint, unit: PlanLimit["unit"]): string {
  return unit === "bytes" ? size(value) : `${value} ${unit}`;
}

/** A row for each page size, in 80 columns; why one cannot be stands below it. */
export function compareLines(choices: readonly PageChoice[], columns: number): string[] {
  const rows = choices.map((choice) => rowOf(choice));
  const widths = HEAD.map((head, i) => Math.max(head.length, ...rows.map(({ cells }) => cells[i]?.length ?? 0)));
  const row = (cells: readonly string[]) =>
    `  ${cells.map((cell, i) => (i === HEAD.length - 1 ? cell : cell.padStart(widths[i] ?? 0))).join("  ")}`.trimEnd();
  const fits = widths.reduce((sum, width) => sum + width + 2, 0) <= columns;
  const body = rows.flatMap(({ cells, why }) => [
    ...(fits || why !== undefined ? [row(cells)] : stacked(cells)),
    ...(why === undefined ? [] : wrapped(why, "      ", columns)),
  ]);
  return [...(fits ? [row(HEAD)] : []), ...body];
}

const HEAD = ["pages", "window", "entries", "lev", "tables", "charged", "maps", "first limit"] as const;

/** A table that does not fit: each row as a list. */
function stacked(cells: readonly string[]): string[] {
  return [`  ${cells[0]} pages`, ...HEAD.slice(1).map((head, i) => `    ${head.padEnd(12)}${cells[i + 1] ?? ""}`)];
}

function rowOf({ pageSize, plan, limits, rejected }: PageChoice): {
  readonly cells: readonly string[];
  readonly why?: string;
} {
  if (plan === undefined) {
    const reasons = [...new Set(rejected.map(({ reason }) => reason))];
    return {
      cells: [bytes(pageSize), "none"],
      why: plainText(reasons[0] ?? "the IOMMU has no pages of that size").slice(0, 400),
    };
  }
  const first = limits.find(({ at }) => at !== null);
  const levels = plan.levels === 0 ? "-" : String(plan.levels);
  const tables = [plan.tableBytes, plan.chargeBytes].map((value) => (value === 0n ? "-" : roughly(value)));
  const [entries, maps] = [plan.tces, plan.fullGrowth.maps].map(count);
  return {
    cells: [bytes(pageSize), size(plan.size), entries ?? "", levels, ...tables, maps ?? "", firstWords(first)],
  };
}

/** `pool 58.6 TiB`: the limit, and the memory at which it is met. */
function firstWords(limit: PlanLimit | undefined): string {
  if (limit === undefined) return "none";
  const { what, unit, at, available } = limit;
  if (unit === "pages" && available === 0n) return "no pool";
  const short = what === "RLIMIT_MEMLOCK" ? "memlock" : unit === "bytes" ? "RAM" : unit === "maps" ? "maps" : "pool";
  return `${short} ${size(at ?? 0n)}`;
}

/** Seven characters: `4194304`, `2^34`, `129.1 M`. */
function count(value: bigint): string {
  if (value < 10_000_000n) return String(value);
  const bits = value.toString(2);
  if (!bits.slice(1).includes("1")) return `2^${bits.length - 1}`;
  const [unit, letter] = value < 10n ** 9n ? [10n ** 5n, "M"] : [10n ** 8n, "G"];
  return `${Number(value / unit) / 10} ${letter}`; // tenths: far below 2^53
}

function line(label: string, text: string): string {
  return `  ${label.padEnd(9)}${text}`;
}
