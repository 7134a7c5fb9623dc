/** A plan, before the kernel is asked for it: it may have been made by hand. */
import { argumentRangeError, argumentTypeError, DmaWindowError } from "../errors.ts";
import type { IommuInfo } from "../iommu.ts";
import type { WindowPlan } from "../plan/index.ts";
import { PAGE_SHIFT, pageWanted, sizeWanted, startWanted } from "../plan/shape.ts";
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
  if (plan.window !== undefined) oneOf("plan.window", plan.window, ["default"]);
  oneOf("plan.iovaMode", plan.iovaMode, ["rebased", "va", "pa"]);
  const start = address("plan.start", plan.start);
  count("plan.levels", plan.levels);
  const shift = count("plan.pageShift", plan.pageShift);
  const { least, most } = PAGE_SHIFT;
  if (shift < least || shift > most) throw argumentRangeError("plan.pageShift", `from ${least} to ${most}`, shift);
  const bytes = size("plan.size", plan.size);
  const shape = { kind, isDefault: plan.window !== undefined, pageShift: shift, start, size: bytes };
  const length = sizeWanted(shape);
  if (length !== undefined) throw argumentRangeError("plan.size", length, bytes);
  const exact = typeof plan.size === "bigint" ? plan : { ...plan, size: bytes };
  // A plan for sPAPR says where the kernel is expected to put the window; elsewhere it is where it will be.
  if (kind === "spapr") return exact;
  const place = startWanted(shape);
  if (place !== undefined) throw argumentRangeError("plan.start", place, start);
  if (kind === "type1") checkPlace(plan, 1n << BigInt(shift));
  checkReach(plan, start + bytes - 1n);
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

/** By what a window of type1 finds another place. A plan of before these were in it is one that fills its window. */
function checkPlace({ needed, alignment, pieces }: WindowPlan, page: bigint): void {
  if (needed !== undefined && address("plan.needed", needed) === 0n) {
    throw argumentRangeError("plan.needed", "at least 1", needed);
  }
  if (alignment !== undefined) checkPages("plan.alignment", alignment, page);
  if (pieces === undefined) return;
  if (!Array.isArray(pieces)) throw argumentTypeError("plan.pieces", "an array", pieces);
  for (const [i, piece] of pieces.entries()) {
    const name = `plan.pieces[${i}]`;
    object(name, piece);
    checkPages(`${name}.pageSize`, piece.pageSize, page);
    if (address(`${name}.length`, piece.length) === 0n) throw argumentRangeError(`${name}.length`, "at least 1", 0n);
  }
}

function checkPages(name: string, bytes: bigint, page: bigint): void {
  const wanted = pageWanted(address(name, bytes), page);
  if (wanted !== undefined) throw argumentRangeError(name, wanted, bytes);
}

/** A plan that was edited may say itself that its device does not get there. */
function checkReach({ deviceAddressBits }: WindowPlan, last: bigint): void {
  if (deviceAddressBits === undefined) return;
  const bits = count("plan.deviceAddressBits", deviceAddressBits);
  if (bits < 1 || bits > 64) throw argumentRangeError("plan.deviceAddressBits", "from 1 to 64", bits);
  if (last >> BigInt(bits) === 0n) return;
  throw argumentRangeError("plan.start", `such that ${bits} address bits reach the window's end`, last);
}
