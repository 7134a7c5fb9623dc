/** A plan, before the kernel is asked for it: it may have been made by hand. */
import { core } from "../core.ts";
import { argumentRangeError, DmaWindowError } from "../errors.ts";
import type { WindowPlan } from "../plan/index.ts";
import { address, count, object, oneOf } from "../validate.ts";

/** @throws TypeError, RangeError; `ERR_PLAN_MISFIT` for a plan for type1. */
export function checkPlan(plan: WindowPlan): void {
  object("plan", plan);
  if (oneOf("plan.kind", plan.kind, ["spapr", "type1"]) !== "spapr") {
    throw new DmaWindowError("ERR_PLAN_MISFIT", `the plan is for ${plan.kind}, and this container is sPAPR TCE v2`);
  }
  oneOf("plan.iovaMode", plan.iovaMode, ["rebased", "va", "pa"]);
  address("plan.start", plan.start);
  count("plan.levels", plan.levels);
  const shift = count("plan.pageShift", plan.pageShift);
  if (shift < 12 || shift > 40) throw argumentRangeError("plan.pageShift", "from 12 to 40", shift);
  const size = address("plan.size", plan.size);
  if (core.isPowerOfTwo(size) === 0 || size < 1n << BigInt(shift)) {
    throw argumentRangeError("plan.size", "a power of two, and not smaller than a page", size);
  }
}
