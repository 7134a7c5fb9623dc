/**
 * What the report says in words, for programs: one JSON document. Addresses, and sizes that may pass 2^53, are hex strings; other
 * figures are exact numbers.
 */
import { hex } from "../hex.ts";
import type { AddressRange } from "../iommu.ts";
import type { WindowPlan } from "../plan/index.ts";
import { planFields } from "../plan/plan-json.ts";
import type { Machine } from "./machine.ts";
import type { MainJobOptions, MainJobResult, OtherResult } from "./main-job.ts";

/** The fields are the same on every IOMMU; `heap` and `dynamicScheme` are null where there is no such way. */
export function toJson(machine: Machine, result: MainJobResult, { steps, seed }: MainJobOptions): string {
  const { plan, window, mapped, grown, storm, resizes, liveIovasInterrupted, leaks, nanosecondsPerStep } = result;
  return JSON.stringify({
    ...headToJson(machine, { ...plan, start: window.start }),
    window: { start: hex(window.start), size: hex(window.size) },
    mapped: { segments: mapped.segments, bytes: Number(mapped.bytes) }, // at most 64 MiB
    storm: {
      steps,
      seed,
      allocations: storm.allocations,
      frees: storm.frees,
      failures: storm.failures,
      firstFailure: storm.firstFailure === undefined ? null : String(storm.firstFailure),
    },
    grown: { segments: grown.segments, bytes: Number(grown.bytes), share: grown.share }, // at most 64 MiB too
    resizes,
    liveIovasInterrupted,
    nanosecondsPerStep,
    leaks: leaks.length,
    leftBehind: leaks,
    heap: otherToJson(result.heap),
    dynamicScheme: otherToJson(result.dynamicScheme),
  });
}

function otherToJson(other: OtherResult | undefined): object | null {
  if (other === undefined) return null;
  const { resizes, liveIovasInterrupted, storm, nanosecondsPerStep } = other;
  return { resizes, liveIovasInterrupted, failures: storm.failures, nanosecondsPerStep };
}

/** What `plan` prints, and `run` begins with. */
export function headToJson(machine: Machine, plan: WindowPlan): object {
  const { kernelName, platform, noIommu, pool, simulatedBecause } = machine;
  return {
    kernel: kernelName,
    platform: platform ?? null,
    noIommu,
    plan: planToJson(plan),
    system: systemToJson(machine),
    memory: {
      kind: pool.kind,
      pages: pool.pages,
      pageSize: Number(pool.pageSize), // of a hugepage at most
      simulatedBecause: simulatedBecause ?? null,
    },
  };
}

export function systemToJson({ highestRam, iomem, iomemProblem }: Machine): object {
  return {
    highestRam: hexOrNull(highestRam),
    ramBytes: hexOrNull(iomem?.totalBytes),
    ramRanges: (iomem?.ramRanges ?? []).map(rangeToJson),
    ramUnknownBecause: iomem === undefined ? (iomemProblem?.code ?? "no /proc/iomem") : null,
  };
}

/**
 * The fields of a stored plan, which leaves out what the plan does not have: here they are the same of every plan, null where there is
 * nothing; `warnings` alone may be left out.
 */
export function planToJson(plan: WindowPlan): object {
  const { holes, alignment = null, pieces: _, deviceAddressBits = null, ...others } = planFields(plan);
  const { fullGrowth, warnings, rejected, ...sizes } = others;
  return {
    kind: plan.kind,
    window: "new", // unless it says which
    ...sizes,
    deviceAddressBits,
    holes,
    alignment,
    fullGrowth,
    ...(plan.warnings.length === 0 ? {} : { warnings }),
    rejected,
  };
}

function rangeToJson({ start, last }: AddressRange): object {
  return { start: hex(start), last: hex(last) };
}

function hexOrNull(value: bigint | null | undefined): string | null {
  return value === undefined || value === null ? null : hex(value);
}
