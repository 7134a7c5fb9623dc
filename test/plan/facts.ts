/** Facts to plan from: what the kernel said on the machines that were looked at. */
import type { AddressRange, SpaprInfo, Type1Info } from "../../src/iommu.ts";
import { type PlanRequest, planWindow, type Rejection, type WindowPlan } from "../../src/plan/index.ts";
import type { ExactList } from "../../src/plan/types.ts";
import type { LockedMemory } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";

export const KiB = 1n << 10n;
export const MiB = 1n << 20n;
export const GiB = 1n << 30n;
export const TiB = 1n << 40n;
export const HIGH = 1n << 59n;

export const unlimited: LockedMemory = { limit: null, used: 0n, privileged: false };

/** Bare metal: POWER9 with 4K, 64K, 2M and 1G pages. 64 KiB CPU pages as its distributions have. */
export function powernv(changes: Partial<SpaprInfo> = {}): SpaprInfo {
  return {
    kind: "spapr",
    platform: "powernv",
    dynamicWindows: true,
    maxWindows: 2,
    levels: 5,
    pageSizes: 0x40211000n,
    defaultWindow: { start: 0n, size: 2n * GiB },
    cpuPageSize: 65536,
    lockedMemory: unlimited,
    ...changes,
  };
}

/** An LPAR: 4K, 64K, 2M and 16M pages, one level. */
export function pseries(changes: Partial<SpaprInfo> = {}): SpaprInfo {
  return {
    ...powernv(),
    platform: "pseries",
    levels: 1,
    pageSizes: 0x1211000n,
    defaultWindow: { start: 0n, size: GiB },
    ...changes,
  };
}

/** VT-d: everything below 2^48 but the hole where interrupts are written to. */
export const interruptHole: readonly AddressRange[] = [
  { start: 0n, last: 0xfedfffffn },
  { start: 0xfef00000n, last: (1n << 48n) - 1n },
];

export function type1(changes: Partial<Type1Info> = {}): Type1Info {
  return {
    kind: "type1",
    version: 2,
    cpuPageSize: 4096,
    pageSizes: 0x40201000n,
    ranges: interruptHole,
    lockedMemory: unlimited,
    ...changes,
  };
}

export function list(pageSize: bigint, length: bigint, base = 0n): ExactList {
  return { base, length, pageSize };
}

/** A plan for one list of such pages, for a window that reaches `size` bytes. */
export function planFor(pageSize: bigint, size: bigint, info: PlanRequest["info"]): WindowPlan {
  return planWindow({ memory: { lists: [list(pageSize, pageSize)] }, info, growTo: size });
}

/** Why a choice was rejected: the reasons that stand next to it. */
export function reasonsFor(plan: Pick<WindowPlan, "rejected">, choice: string): string {
  return plan.rejected
    .filter((one) => one.choice === choice)
    .map(({ reason }) => reason)
    .join(" | ");
}

/** The rejections of a plan that is impossible. */
export function rejectedBy(run: () => unknown): readonly Rejection[] {
  const { facts } = failure("ERR_PLAN_IMPOSSIBLE", run);
  return facts?.rejected as readonly Rejection[];
}
