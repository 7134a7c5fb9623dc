/**
 * What differs from IOMMU to IOMMU about a container. All else (files, windows as such, attached memories, the order of
 * closing) is the container's.
 *
 *     container ── makeWindow ──> spapr      CREATE and REMOVE; the default window goes and comes back
 *               ── removeWindow ─> type1     no call: a part of the allowed IOVAs that no other window has
 *                                  noiommu   no call: the physical addresses themselves
 *
 * Closing the container's files ends whatever is left, on every one of them.
 */
import { DmaWindowError } from "../../errors.ts";
import { bytes, hex } from "../../hex.ts";
import type { AddressRange, IommuInfo } from "../../iommu.ts";
import type { WindowPlan } from "../../plan/index.ts";
import type { IommuType } from "../../syscalls.ts";

/** A window that is open in the container, as far as another one has to make way for it. */
export interface OpenWindow {
  readonly start: bigint;
  /** Bytes. */
  readonly size: bigint;
}

/** A window that the backend has made. */
export interface MadeWindow {
  /** First IOVA, wherever the plan expected it. */
  readonly start: bigint;
  /** Bytes: those of the plan, or on type1 no fewer than it needs. */
  readonly size: bigint;
  /** What may not be mapped in it: whole pages of the window, ascending, apart from each other. */
  readonly forbidden: readonly AddressRange[];
  /** The IOVAs that the IOMMU allows, where it says so: for the words of a refusal. */
  readonly allowed: readonly AddressRange[];
  /** Takes the window away again, as if it had not been made. Gives a sentence for each thing that stays. */
  unmake(): readonly string[];
}

export interface Backend {
  readonly kind: IommuInfo["kind"];
  /** The number by which SET_IOMMU, and the core, know it. */
  readonly iommu: (typeof IommuType)[keyof typeof IommuType];
  /** Asks the kernel what its IOMMU can do. */
  info(): IommuInfo;
  /**
   * Makes a window, or finds the place for it. The plan is checked, and of this kind.
   *
   * @throws with nothing changed, or with a residue that says what is.
   */
  makeWindow(plan: WindowPlan, others: readonly OpenWindow[]): MadeWindow;
  /**
   * Ends a window in which nothing is mapped. Gives what the kernel interface threw, where the window has gone for all that.
   *
   * @throws `ERR_KERNEL`: it is still there; `ERR_INTERFACE`: it may be.
   */
  removeWindow(start: bigint): DmaWindowError | undefined;
}

/** @throws `ERR_WINDOW_OVERLAPS` when [start, start + size) touches one of the others. */
export function checkApart(start: bigint, size: bigint, others: readonly OpenWindow[]): void {
  const last = start + size - 1n;
  const other = others.find((one) => start < one.start + one.size && last >= one.start);
  if (other === undefined) return;
  throw new DmaWindowError(
    "ERR_WINDOW_OVERLAPS",
    `a window of ${bytes(size)} at ${hex(start)} would overlap the one of ${bytes(other.size)} at ${hex(other.start)}, ` +
      "and an IOVA belongs to one window: close that one, or plan one window for all memory",
    { facts: { start, size, other: other.start } },
  );
}
