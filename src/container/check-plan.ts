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
  if (plan.window !== undefined) oneOf("plan.window", plan.window, ["default"]);
  oneOf("plan.iovaMode", plan.iovaMode, ["rebased", "va", "pa"]);
  const start = address("plan.start", plan.start);
  count("plan.levels", plan.levels);
  const shift = count("plan.pageShift", plan.pageShift);
  if (shift < 12 || shift > 40) throw argumentRangeError("plan.pageShift", "from 12 to 40", shift);
  const bytes = size("plan.size", plan.size);
  const page = 1n << BigInt(shift);
  const isOurs = kind !== "type1" && plan.window === undefined;
  if (isOurs && (core.isPowerOfTwo(bytes) === 0 || bytes < page)) {
    throw argumentRangeError("plan.size", "a power of two, and not smaller than a page", bytes);
  }
  if (!isOurs && (bytes === 0n || bytes % page !== 0n)) {
    throw argumentRangeError("plan.size", `whole pages of ${hex(page)}, and not 0`, bytes);
  }
  const exact = typeof plan.size === "bigint" ? plan : { ...plan, size: bytes };
  // A plan for sPAPR says where the kernel is expected to put the window; elsewhere it is where it will be.
  if (kind === "spapr") return exact;
  const border = kind === "type1" ? page : bytes;
  if (start % border !== 0n) throw argumentRangeError("plan.start", `a multiple of ${hex(border)}`, start);
  if (start + bytes > 1n << 64n) throw argumentRangeError("plan.start", "such that the window ends by 2^64", start);
  if (kind === "type1") checkPlace(plan, page);
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
  const least = address(name, bytes);
  if (core.isPowerOfTwo(least) === 1 && least >= page) return;
  throw argumentRangeError(name, `a power of two from ${hex(page)} on`, bytes);
}

/** A plan that was edited may say itself that its device does not get there. */
function checkReach({ deviceAddressBits }: WindowPlan, last: bigint): void {
  if (deviceAddressBits === undefined) return;
  const bits = count("plan.deviceAddressBits", deviceAddressBits);
  if (bits < 1 || bits > 64) throw argumentRangeError("plan.deviceAddressBits", "from 1 to 64", bits);
  if (last >> BigInt(bits) === 0n) return;
  throw argumentRangeError("plan.start", `such that ${bits} address bits reach the window's end`, last);
}
