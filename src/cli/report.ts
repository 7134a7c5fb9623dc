/** What the main job found, for people and for programs. */
import { bytes, hex, roughly } from "../hex.ts";
import type { WindowPlan } from "../plan/index.ts";
import type { Machine } from "./machine.ts";
import type { MainJobOptions, MainJobResult } from "./main-job.ts";

/** One JSON document. Addresses are hex strings, also the window's size; other figures are exact numbers. */
export function toJson(machine: Machine, result: MainJobResult): string {
  const { plan, mapped, storm, resizes, liveIovasInterrupted, leaks, dynamicScheme } = result;
  return JSON.stringify({
    kernel: machine.kernelName,
    plan: planToJson({ ...plan, start: result.window.start }),
    system: systemToJson(machine),
    mapped: { segments: mapped.segments, bytes: Number(mapped.bytes) }, // at most 64 MiB
    storm: { allocations: storm.allocations, frees: storm.frees, failures: storm.failures },
    resizes,
    liveIovasInterrupted,
    leaks: leaks.length,
    dynamicScheme: { resizes: dynamicScheme.resizes, liveIovasInterrupted: dynamicScheme.liveIovasInterrupted },
  });
}

export function systemToJson({ highestRam, iomem }: Machine): object {
  return {
    highestRam: highestRam === undefined ? null : hex(highestRam),
    ramRanges: (iomem?.ramRanges ?? []).map(({ start, last }) => ({ start: hex(start), last: hex(last) })),
  };
}

export function planToJson(plan: WindowPlan): object {
  return {
    iovaMode: plan.iovaMode,
    start: hex(plan.start),
    size: hex(plan.size),
    pageShift: plan.pageShift,
    levels: plan.levels,
    // At most 2^36 TCEs of 8 bytes, and not many more for the levels above: far below 2^53.
    tableBytes: Number(plan.tableBytes),
    chargeBytes: Number(plan.chargeBytes),
    dmaMaskBits: plan.dmaMaskBits,
    rejected: plan.rejected,
  };
}

export function machineLines(machine: Machine): string[] {
  const { iomem, iomemProblem, highestRam, pool, kernelName, simulatedBecause } = machine;
  const ram =
    iomem === undefined
      ? `not known (${iomemProblem?.code ?? "no /proc/iomem"}); only IOVA mode pa needs it`
      : `${roughly(iomem.totalBytes)} in ${iomem.ramRanges.length} range${iomem.ramRanges.length === 1 ? "" : "s"}, the highest ends at ${hex(iomem.highest)}`;
  const stated =
    iomem === undefined && highestRam !== undefined ? [line("", `stated: it ends at ${hex(highestRam)}`)] : [];
  const kernel = kernelName === "linux" ? "this machine's VFIO" : "the software model of Linux's VFIO on POWER";
  return [
    line("kernel", kernel),
    line("RAM", ram),
    ...stated,
    line(
      "memory",
      `${pool.pages} ${pool.kind} of ${bytes(pool.pageSize)}${simulatedBecause ? ` (${simulatedBecause})` : ""}`,
    ),
  ];
}

export function planLines(plan: WindowPlan): string[] {
  const levels = plan.levelBytes.map((size, i) => `${bytes(size)}${i === 0 ? " of TCEs" : ""}`).join(" + ");
  return [
    line(
      "window",
      `${bytes(plan.size)} at ${hex(plan.start)}, for ${roughly(plan.needed)} in IOVA mode ${plan.iovaMode}`,
    ),
    line(
      "pages",
      `${bytes(1n << BigInt(plan.pageShift))}, so ${plan.tces} TCEs in ${plan.levels} level${plan.levels === 1 ? "" : "s"}`,
    ),
    line("tables", `${levels || "the IOMMU's own"}; ${roughly(plan.chargeBytes)} count against RLIMIT_MEMLOCK`),
    line("device", `needs ${plan.dmaMaskBits} address bits`),
    ...plan.rejected.map(({ choice, reason }) => line("not", `${choice}: ${reason}`)),
  ];
}

export function resultLines(result: MainJobResult, options: MainJobOptions): string[] {
  const { window, mapped, grown, storm, leaks, dynamicScheme: dynamic } = result;
  const end = window.start + window.size - 1n;
  return [
    line("created", `at ${hex(window.start)}-${hex(end)}`),
    line("mapped", `${mapped.segments} segments, ${roughly(mapped.bytes)}`),
    line("storm", `${options.steps} steps (seed ${options.seed}): ${counts(storm)}`),
    line("", `${roughly(grown.bytes)} in ${grown.segments} segments at its end`),
    line("", picture(grown.share)),
    "",
    `  ${"".padEnd(26)}${"static window".padStart(16)}${"dynamic scheme".padStart(16)}`,
    row("window resized", result.resizes, dynamic.resizes),
    row("live pages interrupted", result.liveIovasInterrupted, dynamic.liveIovasInterrupted),
    row("failed steps", storm.failures, dynamic.storm.failures),
    "",
    ...(leaks.length === 0 ? ["  Nothing was left behind."] : leaks.map((leak) => `  Left behind: ${leak}`)),
    ...(storm.firstFailure === undefined ? [] : [`  First failure: ${storm.firstFailure}`]),
  ];
}

function counts({ allocations, frees, failures }: MainJobResult["storm"]): string {
  return `${allocations} allocations, ${frees} frees, ${failures} failures`;
}

function line(label: string, text: string): string {
  return `  ${label.padEnd(9)}${text}`;
}

function row(label: string, ours: number, theirs: number): string {
  return `  ${label.padEnd(26)}${String(ours).padStart(16)}${String(theirs).padStart(16)}`;
}

const INK = [" ", "░", "▒", "▓", "█"] as const;

/** The window from its start to its end; the darker, the more of that part is mapped. */
function picture(share: readonly number[]): string {
  const cells = share.map((part) => INK[part === 0 ? 0 : Math.min(4, 1 + Math.floor(part * 4))] ?? " ");
  return `[${cells.join("")}]`;
}
