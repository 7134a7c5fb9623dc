/** A plan, before the kernel is asked for it: it may have been made by hand. */
import { core } from "../core.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError } from "../errors.ts";
import { hex } from "../hex.ts";
import type { IommuInfo } from "../iommu.ts";
import type { WindowPlan } from "../plan/index.ts";
import { address, count, object, oneOf, size } from "../validate.ts";

const names = { spapr: "sPAPR TCE v2", type1: "type1", noiommu: "without an IOMMU" } as const;

/**
 * Gives the plan with its size as a bigint. Keys that a plan does not have are passed over: it may have been stored, and made by
 * another version. @throws TypeError, RangeError; `ERR_PLAN_MISFIT` for a plan that is for another IOMMU than the container's.
 */
export function checkPlan(plan: WindowPlan, kind: IommuInfo["kind"]): WindowPlan {
  object("plan", plan);
  if (oneOf("plan.kind", plan.kind, ["spapr", "type1", "noiommu"]) !== kind) {
    throw new DmaWindowError("ERR_PLAN_MISFIT", `the plan is for ${plan.kind}, and this container is ${names[kind]}`);
  }
  oneOf("plan.iovaMode", plan.iovaMode, ["rebased", "va", "pa"]);
  const start = address("plan.start", plan.start);
  count("plan.levels", plan.levels);
  const shift = count("plan.pageShift", plan.pageShift);
  if (shift < 12 || shift > 40) throw argumentRangeError("plan.pageShift", "from 12 to 40", shift);
  const bytes = size("plan.size", plan.size);
  if (core.isPowerOfTwo(bytes) === 0 || bytes < 1n << BigInt(shift)) {
    throw argumentRangeError("plan.size", "a power of two, and not smaller than a page", bytes);
  }
  const exact = typeof plan.size === "bigint" ? plan : { ...plan, size: bytes };
  // A plan for sPAPR says where the kernel is expected to put the window; elsewhere it is where it will be.
  if (kind === "spapr") return exact;
  if (start % bytes !== 0n) {
    throw argumentRangeError("plan.start", `a multiple of the window's size ${hex(bytes)}`, start);
  }
  if (!Array.isArray(plan.holes)) throw argumentTypeError("plan.holes", "an array", plan.holes);
  for (const [i, hole] of plan.holes.entries()) {
    const name = `plan.holes[${i}]`;
    object(name, hole);
    const first = address(`${name}.start`, hole.start);
    if (address(`${name}.last`, hole.last) < first)
      throw argumentRangeError(`${name}.last`, "its start or behind it", hole.last);
  }
  return exact;
}
