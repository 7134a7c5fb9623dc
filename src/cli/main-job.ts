/**
 * The main job: plan, create, map, a storm, and the account of it; then the same storm under the dynamic scheme. That one
 * needs windows that the kernel makes and removes: there are none on type1, nor without an IOMMU.
 */

import type { ModelKernel } from "../model/index.ts";
import type { WindowPlan } from "../plan/index.ts";
import type { Syscalls } from "../syscalls.ts";
import type { GroundOptions } from "./ground.ts";
import type { Machine } from "./machine.ts";
import { Progress } from "./progress.ts";
import { DynamicScheme, StaticScheme } from "./schemes.ts";
import { makeStorm, runStorm, type Step, type StormResult } from "./storm.ts";

export interface MainJobOptions extends GroundOptions {
  readonly steps: number;
  readonly seed: number;
}

export interface MainJobResult {
  readonly plan: WindowPlan;
  readonly window: { readonly start: bigint; readonly size: bigint };
  readonly mapped: { readonly segments: number; readonly bytes: bigint };
  /** After the storm. */
  readonly grown: { readonly segments: number; readonly bytes: bigint; readonly share: readonly number[] };
  readonly storm: StormResult;
  readonly resizes: number;
  readonly liveIovasInterrupted: number;
  /** One sentence for each thing that was left behind. */
  readonly leaks: readonly string[];
  /** Undefined where the kernel has no windows. */
  readonly dynamicScheme: DynamicResult | undefined;
}

export interface DynamicResult {
  readonly resizes: number;
  readonly liveIovasInterrupted: number;
  readonly storm: StormResult;
}

/** What this library's way is called beside the other one: a window is a window of the kernel's on sPAPR alone. */
export const SCHEMES = { spapr: "static window", type1: "static range", noiommu: "physical IOVAs" } as const;

/** How the memory is cut up that is there before the window is planned. */
const INITIAL_SEGMENTS = 4;

/** Into how many pieces the picture of the window is cut. */
const SHARES = 64;

export function doMainJob(machine: Machine, options: MainJobOptions): MainJobResult {
  const { pages } = machine.pool;
  const each = Math.max(1, Math.floor(pages / 16 / INITIAL_SEGMENTS));
  const initial = Array.from({ length: INITIAL_SEGMENTS }, () => each);
  const left = pages - each * INITIAL_SEGMENTS;
  const steps = makeStorm({
    seed: options.seed,
    steps: options.steps,
    pages: left,
    largest: Math.max(1, Math.floor(left / 64)),
  });
  const ours = runStatic(machine, options, initial, steps);
  const dynamicScheme = ours.plan.kind === "spapr" ? runDynamic(machine, initial, steps) : undefined;
  return { ...ours, dynamicScheme };
}

function runStatic(
  machine: Machine,
  options: MainJobOptions,
  initial: readonly number[],
  steps: readonly Step[],
): Omit<MainJobResult, "dynamicScheme"> {
  const before = heldBy(machine.makeKernel());
  const scheme = new StaticScheme(machine, options, initial);
  const { plan, window } = scheme;
  const { memory, witness } = scheme.ground;
  try {
    const mapped = { segments: memory.size, bytes: memory.bytes };
    const progress = new Progress(`storm, ${SCHEMES[plan.kind]}`, steps.length);
    const storm = runStorm(steps, scheme, (done) => progress.step(done));
    const grown = { segments: memory.size, bytes: memory.bytes, share: shares(scheme) };
    const { resizes, interrupted } = witness;
    scheme.close();
    const leaks = [...leaksOf(witness.inner), ...leftSince(before, heldBy(witness.inner))];
    return {
      plan,
      window: { start: window.start, size: window.size },
      mapped,
      grown,
      storm,
      resizes,
      liveIovasInterrupted: interrupted,
      leaks,
    };
  } finally {
    scheme.close();
  }
}

function runDynamic(machine: Machine, initial: readonly number[], steps: readonly Step[]): DynamicResult {
  const scheme = new DynamicScheme(machine, initial);
  try {
    const progress = new Progress("storm, dynamic scheme", steps.length);
    const storm = runStorm(steps, scheme, (done) => progress.step(done));
    const { resizes, interrupted } = scheme.ground.witness;
    return { resizes, liveIovasInterrupted: interrupted, storm };
  } finally {
    scheme.close();
  }
}

/** How much of each part of the window is mapped, 0 to 1. */
function shares({ window }: StaticScheme): number[] {
  const part = window.size / BigInt(SHARES) || 1n;
  const filled = new Array<bigint>(SHARES).fill(0n);
  for (const { iova, length } of window.maps()) {
    for (let at = iova - window.start, end = at + length; at < end; ) {
      const index = Number(at / part); // below SHARES
      const next = (BigInt(index) + 1n) * part;
      const stop = next < end ? next : end;
      filled[index] = (filled[index] ?? 0n) + stop - at;
      at = stop;
    }
  }
  return filled.map((bytes) => Number((bytes * 1000n) / part) / 1000);
}

function leaksOf(kernel: Syscalls): string[] {
  return "leaks" in kernel ? (kernel as ModelKernel).leaks() : [];
}

/** Locked memory is what the real kernel can be asked about; the model says more with its `leaks`. */
function heldBy(kernel: Syscalls): bigint {
  return kernel.lockedMemory().used;
}

function leftSince(before: bigint, after: bigint): string[] {
  return after > before ? [`${after - before} bytes of locked memory`] : [];
}
