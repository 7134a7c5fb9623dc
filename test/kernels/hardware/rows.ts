/** The rows of the conformance suite that a machine is none the worse for. */
import { isAboutDevice } from "../../conformance/row.ts";
import { expectedOf, needsOf, type PlacedRow, rowsOf } from "../../conformance/run-on.ts";
import type { Target } from "../../conformance/target.ts";

export interface Chosen {
  readonly rows: readonly PlacedRow[];
  /** What is left out, in one sentence; `undefined` where nothing is. */
  readonly leftOut: string | undefined;
}

/**
 * Left out are the rows that harm the kernel, and those that leave something charged: a registration that was given up while
 * it was mapped outlives its process, with the memory that it pinned, and the kernel warns of it when the process ends
 * (`arch/powerpc/mm/book3s64/mmu_context.c: destroy_context`). Every row that leaves a charge says so in its answer. And the
 * kernel warns, and stays tainted, when it is to register 0 bytes: it asks itself for no memory at all
 * (`arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_do_alloc`, `mm/vmalloc.c: __vmalloc_node_range_noprof`).
 *
 * @param withDevices whether each group has a device that does DMA where it is told.
 */
export function gentleRows(target: Target, withDevices: boolean): Chosen {
  // Devices that may be used up are no part of a machine that is somebody's.
  const all = rowsOf(target).filter(({ row }) => !isAboutDevice(needsOf(row)));
  const lasting = all.filter((one) => leavesSomething(one, target));
  const driven = all.filter((one) => !lasting.includes(one) && !withDevices && wantsDevice(one));
  const reasons = [
    ...(lasting.length > 0 ? [`${lasting.length} would harm this kernel or leave something in it`] : []),
    ...(driven.length > 0 ? [`${driven.length} need a device that does DMA where it is told`] : []),
  ];
  return {
    rows: all.filter((one) => !lasting.includes(one) && !driven.includes(one)),
    leftOut: reasons.length === 0 ? undefined : `left out of ${all.length} rows: ${reasons.join(", ")}`,
  };
}

function leavesSomething(placed: PlacedRow, target: Target): boolean {
  const { row } = placed;
  const [situation, , { where }] = row;
  const { answer } = expectedOf(placed, target);
  const warns = where.endsWith(": mm_iommu_do_alloc") && situation.startsWith("size 0");
  return needsOf(row).reboot === true || /stay charged/.test(answer) || warns;
}

function wantsDevice({ row }: PlacedRow): boolean {
  return needsOf(row).device === true || needsOf(row).dma === true;
}
