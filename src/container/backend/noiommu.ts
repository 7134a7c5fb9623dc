/**
 * No IOMMU (vfio_noiommu): the kernel opens the device and maps nothing, so there is nothing to ask it. A window is a
 * record of the physical addresses that a device was told; see `physical.ts` for how they are made sure of.
 */
import { DmaWindowError } from "../../errors.ts";
import type { NoIommuInfo } from "../../iommu.ts";
import type { WindowPlan } from "../../plan/index.ts";
import { IommuType, type Syscalls } from "../../syscalls.ts";
import { type Backend, checkApart, type MadeWindow, type OpenWindow } from "./backend.ts";

/** Pages of every size from 4 KiB on. */
const ALL_SIZES = 0xffff_ffff_ffff_f000n;

export class NoIommuBackend implements Backend {
  readonly kind = "noiommu";
  readonly iommu = IommuType.NOIOMMU;
  readonly #kernel: Syscalls;

  constructor(kernel: Syscalls) {
    this.#kernel = kernel;
  }

  info(): NoIommuInfo {
    return {
      kind: "noiommu",
      cpuPageSize: this.#kernel.pageSize,
      pageSizes: ALL_SIZES,
      lockedMemory: this.#kernel.lockedMemory(),
    };
  }

  makeWindow(plan: WindowPlan, others: readonly OpenWindow[]): MadeWindow {
    const { start, size, iovaMode } = plan;
    if (iovaMode !== "pa") {
      throw new DmaWindowError(
        "ERR_PLAN_MISFIT",
        `the plan is for IOVA mode ${iovaMode}; without an IOMMU nothing translates: plan with IOVA mode pa`,
      );
    }
    checkApart(start, size, others);
    return { start, size, forbidden: [], allowed: [], unmake: () => [] };
  }

  removeWindow(): undefined {
    // The kernel knows of no window.
  }
}
