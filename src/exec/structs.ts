import { VfioCall } from "../syscalls.ts";

/** What a call reads and writes where its argument points to. */
export interface Shape {
  /** Bytes that the kernel always copies. */
  readonly least: number;
  /** Bytes that it copies at most: `argsz` says how many, where the two differ. */
  readonly most: number;
}

/** A device's answer with a chain of capabilities, or a list, is as long as its buffer may be; no program has a longer one. */
const LIST = 8192;

/**
 * Calls whose argument is a pointer, by their number on the seam. `most` is what `argsz` is capped by: no more than that is read of the
 * program, whatever it says.
 */
const SHAPES: Readonly<Record<number, Shape>> = {
  [VfioCall.GROUP_GET_STATUS]: { least: 8, most: 8 },
  [VfioCall.GROUP_SET_CONTAINER]: { least: 4, most: 4 },
  [VfioCall.IOMMU_SPAPR_TCE_GET_INFO]: { least: 16, most: LIST },
  [VfioCall.IOMMU_MAP_DMA]: { least: 32, most: 32 },
  [VfioCall.IOMMU_UNMAP_DMA]: { least: 24, most: 64 },
  // type1's DIRTY_PAGES has the number of REGISTER, and a shorter struct.
  [VfioCall.IOMMU_SPAPR_REGISTER_MEMORY]: { least: 8, most: 64 },
  [VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY]: { least: 24, most: 24 },
  [VfioCall.IOMMU_SPAPR_TCE_CREATE]: { least: 40, most: 40 },
  [VfioCall.IOMMU_SPAPR_TCE_REMOVE]: { least: 16, most: 16 },
  [VfioCall.EEH_PE_OP]: { least: 12, most: 40 },
  [VfioCall.DEVICE_GET_INFO]: { least: 16, most: LIST },
  [VfioCall.DEVICE_GET_REGION_INFO]: { least: 32, most: LIST },
  [VfioCall.DEVICE_GET_IRQ_INFO]: { least: 16, most: 64 },
  [VfioCall.DEVICE_SET_IRQS]: { least: 20, most: 20 + 4 * 2048 },
  [VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO]: { least: 12, most: LIST },
  [VfioCall.DEVICE_PCI_HOT_RESET]: { least: 12, most: LIST },
  [VfioCall.DEVICE_FEATURE]: { least: 8, most: LIST },
};

/** `undefined` for a call whose argument is a number, or that has none, and for GROUP_GET_DEVICE_FD, whose is a string. */
export function shapeOf(call: number): Shape | undefined {
  return SHAPES[call];
}

/** Calls on a device are 0x100 further on the seam: the kernel uses numbers twice. */
export const ON_DEVICE = 0x100;

/** `VFIO_BASE` of `<linux/vfio.h>`. */
const BASE = 100;

/** `_IO(';', 0)`: without a direction on x86 and Arm, with one on POWER. (`include/uapi/asm-generic/ioctl.h`) */
const REQUEST = process.arch === "ppc64" ? 0x2000_3b00 : 0x3b00;

/** The distance from `VFIO_BASE` of a request, as the kernel compares it: all 32 bits. `undefined` for what is no call of VFIO's. */
export function distanceOf(request: number): number | undefined {
  const distance = request - REQUEST - BASE;
  return distance >= 0 && distance < 0x100 - BASE ? distance : undefined;
}
