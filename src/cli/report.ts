/** What the main job found, for people. It speaks of windows, TCEs and tables where the kernel has such. */
import { bytes, hex, roughly } from "../hex.ts";
import type { WindowPlan } from "../plan/index.ts";
import type { Machine } from "./machine.ts";
import type { MainJobOptions, MainJobResult, OtherResult } from "./main-job.ts";
import { factsOf } from "./plan-words.ts";
import { SCHEMES, WHY_ALONE } from "./scheme-words.ts";

export function machineLines(machine: Machine): string[] {
  const { iomem, iomemProblem, highestRam, pool, simulatedBecause } = machine;
  const ram =
    iomem === undefined
      ? `not known (${iomemProblem?.code ?? "no /proc/iomem"}); only IOVA mode pa needs it`
      : `${roughly(iomem.totalBytes)} in ${iomem.ramRanges.length} range${iomem.ramRanges.length === 1 ? "" : "s"}, the highest ends at ${hex(iomem.highest)}`;
  const isStated = highestRam !== undefined && highestRam !== iomem?.highest;
  const stated = isStated ? [line("", `stated: it ends at ${hex(highestRam)}`)] : [];
  return [
    line("kernel", kernelWords(machine)),
    line("RAM", ram),
    ...stated,
    line(
      "memory",
      `${pool.pages} ${pool.kind} of ${bytes(pool.pageSize)}${simulatedBecause ? ` (${simulatedBecause})` : ""}`,
    ),
  ];
}

function kernelWords({ kernelName, platform, noIommu }: Machine): string {
  const kernel = kernelName === "linux" ? "this machine's VFIO" : "the software model of Linux's VFIO";
  if (noIommu) return `${kernel} without an IOMMU`;
  if (platform === "type1") return `${kernel} with type1 (x86, Arm)`;
  return platform === undefined ? kernel : `${kernel} on POWER`;
}

export function planLines(plan: WindowPlan): string[] {
  return factsOf(plan).map(([label, text]) => line(label, text));
}

export function resultLines(result: MainJobResult, options: MainJobOptions): string[] {
  const { plan, window, mapped, grown, storm, leaks } = result;
  const range = `${hex(window.start)}-${hex(window.start + window.size - 1n)}`;
  return [
    plan.kind === "spapr" ? line("created", `at ${range}`) : line("taken", `IOVAs ${range}`),
    line("mapped", `${mapped.segments} segments, ${roughly(mapped.bytes)}`),
    line("storm", `${options.steps} steps (seed ${options.seed}): ${counts(storm)}`),
    line("", `${roughly(grown.bytes)} in ${grown.segments} segments at its end`),
    line("", picture(grown.share)),
    "",
    ...accountLines(result),
    "",
    ...(leaks.length === 0 ? ["  Nothing was left behind."] : leaks.map((leak) => `  Left behind: ${leak}`)),
    ...(storm.firstFailure === undefined ? [] : [`  First failure: ${storm.firstFailure}`]),
  ];
}

/** What each way came to; or what ours did, and why there is no scheme to compare with. */
function accountLines(result: MainJobResult): string[] {
  const { plan, heap, dynamicScheme: dynamic } = result;
  const ways: readonly (readonly [string, OtherResult | undefined])[] = [
    ["heap", heap],
    [SCHEMES[plan.kind], result],
    ["dynamic scheme", dynamic],
  ];
  const there = ways.filter((way): way is readonly [string, OtherResult] => way[1] !== undefined);
  const row = (label: string, of: (way: OtherResult) => number | string) =>
    cells(
      label,
      there.map(([, way]) => of(way)),
    );
  return [
    cells(
      "",
      there.map(([name]) => name),
    ),
    ...(plan.kind === "spapr" ? [row("window resized", ({ resizes }) => resizes)] : []),
    ...(plan.kind === "noiommu"
      ? []
      : [row("live pages interrupted", ({ liveIovasInterrupted }) => liveIovasInterrupted)]),
    row("failed steps", ({ storm }) => storm.failures),
    row("a step, in microseconds", ({ nanosecondsPerStep }) => (nanosecondsPerStep / 1000).toFixed(1)),
    ...(plan.kind === "spapr" ? [] : ["", ...whyAlone(plan.kind).map((text) => `  ${text}`)]),
  ];
}

const ABSENT = {
  type1: "There is no third column",
  noiommu: "There is no third column, and no row of interruptions",
} as const;

function whyAlone(kind: keyof typeof ABSENT): string[] {
  const [first, ...others] = WHY_ALONE[kind];
  return [`${ABSENT[kind]}: ${first}`, ...others];
}

function counts({ allocations, frees, failures }: MainJobResult["storm"]): string {
  return `${allocations} allocations, ${frees} frees, ${failures} failures`;
}

function line(label: string, text: string): string {
  return `  ${label.padEnd(9)}${text}`;
}

function cells(label: string, values: readonly (number | string)[]): string {
  return `  ${label.padEnd(26)}${values.map((value) => String(value).padStart(16)).join("")}`;
}

const INK = [" ", "░", "▒", "▓", "█"] as const;

/** The window from its start to its end; the darker, the more of that part is mapped. */
function picture(share: readonly number[]): string {
  const shown = share.map((part) => INK[part === 0 ? 0 : Math.min(4, 1 + Math.floor(part * 4))] ?? " ");
  return `[${shown.join("")}]`;
}
