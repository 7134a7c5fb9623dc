/**
 * The main job: plan, create, map, a storm, and the account of it; then the same storm as buffers of a heap in such a window, and
 * under the dynamic scheme. That one needs windows that the kernel makes and removes: there are none on type1, nor without an IOMMU.
 */

import type { ModelKernel } from "../model/index.ts";
import type { WindowPlan } from "../plan/index.ts";
import type { Syscalls } from "../syscalls.ts";
import type { GroundOptions } from "./ground.ts";
import { HeapScheme } from "./heap-scheme.ts";
import type { Machine } from "./machine.ts";
import { Progress } from "./progress.ts";
import { SCHEMES } from "./scheme-words.ts";
import { DynamicScheme, StaticScheme } from "./schemes.ts";
import { sharesOf } from "./shares.ts";
import { runStorm, type Scheme, type Step, type StormResult, stormFor } from "./storm.ts";

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
  /** What a step took, on average. */
  readonly nanosecondsPerStep: number;
  readonly resizes: number;
  readonly liveIovasInterrupted: number;
  /** One sentence for each thing that was left behind. */
  readonly leaks: readonly string[];
  /** The same steps as buffers of a heap. Undefined where physical pages are the IOVAs and no buffer may be larger than one. */
  readonly heap: OtherResult | undefined;
  /** Undefined where the kernel has no windows. */
  readonly dynamicScheme: OtherResult | undefined;
}

/** What came of the same storm in another way. */
export interface OtherResult {
  readonly resizes: number;
  readonly liveIovasInterrupted: number;
  readonly storm: StormResult;
  readonly nanosecondsPerStep: number;
}

export function doMainJob(machine: Machine, options: MainJobOptions): MainJobResult {
  const { initial, steps } = stormFor(machine.pool.pages, options);
  const ours = runStatic(machine, options, initial, steps);
  const heap = runHeap(machine, options, steps);
  const dynamicScheme =
    ours.plan.kind === "spapr" ? runOther(new DynamicScheme(machine, initial), steps, "dynamic scheme") : undefined;
  return { ...ours, leaks: [...ours.leaks, ...(heap?.leaks ?? [])], heap: heap?.result, dynamicScheme };
}

function runStatic(
  machine: Machine,
  options: MainJobOptions,
  initial: readonly number[],
  steps: readonly Step[],
): Omit<MainJobResult, "heap" | "dynamicScheme"> {
  const before = heldBy(machine.makeKernel());
  const scheme = new StaticScheme(machine, options, initial);
  const { plan, window } = scheme;
  const { memory, witness } = scheme.ground;
  try {
    const mapped = { segments: memory.size, bytes: memory.bytes };
    const went = timed(steps, scheme, SCHEMES[plan.kind]);
    const grown = { segments: memory.size, bytes: memory.bytes, share: sharesOf(window) };
    const { resizes, interrupted } = witness;
    scheme.close();
    return {
      plan,
      window: { start: window.start, size: window.size },
      mapped,
      grown,
      ...went,
      resizes,
      liveIovasInterrupted: interrupted,
      leaks: leftBy(witness.inner, before),
    };
  } finally {
    scheme.close();
  }
}

function runHeap(
  machine: Machine,
  options: MainJobOptions,
  steps: readonly Step[],
): { readonly result: OtherResult; readonly leaks: string[] } | undefined {
  const unit = HeapScheme.unitOf(machine, options, steps);
  if (unit === undefined) return undefined;
  const before = heldBy(machine.makeKernel());
  const scheme = new HeapScheme(machine, options, unit);
  const result = runOther(scheme, steps, "heap");
  return { result, leaks: leftBy(scheme.ground.witness.inner, before) };
}

/** The storm under a scheme that is closed in the end. */
function runOther<T>(
  scheme: (DynamicScheme | HeapScheme) & Scheme<T>,
  steps: readonly Step[],
  name: string,
): OtherResult {
  try {
    const went = timed(steps, scheme, name);
    const { resizes, interrupted } = scheme.ground.witness;
    return { resizes, liveIovasInterrupted: interrupted, ...went };
  } finally {
    scheme.close();
  }
}

function timed<T>(
  steps: readonly Step[],
  scheme: Scheme<T>,
  name: string,
): { readonly storm: StormResult; readonly nanosecondsPerStep: number } {
  const progress = new Progress(`storm, ${name}`, steps.length);
  const begun = performance.now();
  const storm = runStorm(steps, scheme, (done) => progress.step(done));
  const took = performance.now() - begun;
  return { storm, nanosecondsPerStep: Math.round((took * 1e6) / Math.max(1, steps.length)) };
}

function leaksOf(kernel: Syscalls): string[] {
  return "leaks" in kernel ? (kernel as ModelKernel).leaks() : [];
}

/** Locked memory is what the real kernel can be asked about; the model says more with its `leaks`. */
function heldBy(kernel: Syscalls): bigint {
  return kernel.lockedMemory().used;
}

function leftBy(kernel: Syscalls, lockedBefore: bigint): string[] {
  const locked = heldBy(kernel) - lockedBefore;
  return [...leaksOf(kernel), ...(locked > 0n ? [`${locked} bytes of locked memory`] : [])];
}
