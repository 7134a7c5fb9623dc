/** What the main job found, for programs: one JSON document. Addresses are hex strings; other figures are exact numbers. */
import { hex } from "../hex.ts";
import type { WindowPlan } from "../plan/index.ts";
import type { Machine } from "./machine.ts";
import type { MainJobResult } from "./main-job.ts";

/** The fields are the same on every IOMMU; `dynamicScheme` is null where there is no such scheme. */
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
    dynamicScheme:
      dynamicScheme === undefined
        ? null
        : { resizes: dynamicScheme.resizes, liveIovasInterrupted: dynamicScheme.liveIovasInterrupted },
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
    ...(plan.warnings.length === 0 ? {} : { warnings: plan.warnings }),
    rejected: plan.rejected,
  };
}
