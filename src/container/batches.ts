/**
 * Maps and unmaps from arrays: the same batches as mapMany and unmapMany make, without an object for any request.
 *
 *     vas iovas lengths permissions     the caller's arrays, in the core's memory (rows.ts) or not
 *        | one block copy each
 *     request columns                   the core's: it fills in IOVAs, and keeps there what each request is about
 *        | core: prepare
 *     calls and their structs           in place; the kernel is handed pointers to them
 *        | one ioctlBatch
 *     iovas                             copied back, once all are mapped
 *
 * The caller's arrays stay the caller's: they are read before the kernel is asked, and only IOVAs are written, at the end. So
 * two batches, or a batch and any other call, never meet in the same memory.
 */
import { core, NO_ADDRESS, Owner } from "../core.ts";
import { argumentTypeError, type DmaWindowError } from "../errors.ts";
import { checkColumn, checkCount, copyIn, copyOut, pointerOf, reserveColumns } from "../memory/arrays.ts";
import type { IovaMode } from "../plan/index.ts";
import { performMaps } from "./maps.ts";
import { leftOpen, memoryAt } from "./requests.ts";
import type { Target } from "./target.ts";
import { performUnmaps } from "./unmaps.ts";

const ALL_ONES = 0xffff_ffff;

export function mapArrays(
  target: Target,
  mode: IovaMode,
  vas: BigUint64Array,
  lengths: BigUint64Array,
  iovas: BigUint64Array,
  permissions: Uint32Array,
  wanted: number | undefined,
): void {
  checkColumn("vas", vas, BigUint64Array);
  const count = checkCount(wanted, vas.length);
  checkColumn("lengths", lengths, BigUint64Array, count);
  checkColumn("iovas", iovas, BigUint64Array, count);
  checkColumn("permissions", permissions, Uint32Array, count);
  const [vasAt, lengthsAt, iovasAt, permissionsAt] = [vas, lengths, iovas, permissions].map(pointerOf) as [
    number,
    number,
    number,
    number,
  ];
  reserveColumns(count);
  copyIn(core.vaColumn(), vas, vasAt, 0, count);
  copyIn(core.lengthColumn(), lengths, lengthsAt, 0, count);
  copyIn(core.iovaColumn(), iovas, iovasAt, 0, count);
  copyIn(core.permissionColumn(), permissions, permissionsAt, 0, count);
  place(leftOpen(target, mode), count);
  performMaps(target, count, Owner.PROGRAM);
  copyOut(core.iovaColumn(), iovas, iovasAt, 0, count);
}

/** Gives the requests that leave their IOVA open what the mode has for them. In words, because bigints leave garbage. */
function place(left: ReturnType<typeof leftOpen>, count: number): void {
  if (left === "placed") return; // by the core, and without an IOMMU by performMaps
  const iovas = core.u32(core.iovaColumn(), count * 2);
  const vas = core.u32(core.vaColumn(), count * 2);
  for (let i = 0; i < 2 * count; i += 2) {
    if (iovas[i] !== ALL_ONES || iovas[i + 1] !== ALL_ONES) continue;
    if (left === "refused") throw argumentTypeError(`iovas[${i / 2}]`, "an IOVA in IOVA mode pa", NO_ADDRESS);
    iovas[i] = vas[i] as number;
    iovas[i + 1] = vas[i + 1] as number;
  }
}

/** Gives an error where all is unmapped, as performUnmaps does. */
export function unmapArrays(
  target: Target,
  iovas: BigUint64Array,
  lengths: BigUint64Array,
  vas: BigUint64Array,
  wanted: number | undefined,
): DmaWindowError | undefined {
  checkColumn("iovas", iovas, BigUint64Array);
  const count = checkCount(wanted, iovas.length);
  checkColumn("lengths", lengths, BigUint64Array, count);
  checkColumn("vas", vas, BigUint64Array, count);
  const [iovasAt, lengthsAt, vasAt] = [pointerOf(iovas), pointerOf(lengths), pointerOf(vas)];
  reserveColumns(count);
  copyIn(core.iovaColumn(), iovas, iovasAt, 0, count);
  copyIn(core.lengthColumn(), lengths, lengthsAt, 0, count);
  copyIn(core.vaColumn(), vas, vasAt, 0, count);
  findMemory(target, count);
  return performUnmaps(target, count, Owner.PROGRAM);
}

/** Looks up the memory of requests that leave it open: one crossing for each, and a bigint. */
function findMemory(target: Target, count: number): void {
  const words = core.u32(core.vaColumn(), count * 2);
  for (let i = 0; i < count; i++) {
    if (words[2 * i] !== ALL_ONES || words[2 * i + 1] !== ALL_ONES) continue;
    const [iova = 0n] = core.u64(core.iovaColumn() + i * 8, 1);
    core.u64(core.vaColumn() + i * 8, 1)[0] = memoryAt(target, iova);
  }
}
