import { writeSync } from "node:fs";
import { VfioCall } from "../syscalls.ts";
import type { Program } from "./program.ts";

/** Region n of a device begins at n << 40: `drivers/vfio/pci/vfio_pci_core.h: VFIO_PCI_OFFSET_SHIFT`. */
const REGION_SHIFT = 40n;
const REGIONS = 9n;
const CONFIG = 7;
const RegionInfo = { BYTES: 32, INDEX: 8, SIZE: 16, OFFSET: 24 } as const;

/**
 * The file that stands for a device: sparse, with each region at its place, so that reads, writes and mmap of the program are the real calls
 * on a real file. Its configuration space is the model's at this moment; BARs are memory that nothing answers in. Neither side
 * sees what the other one writes there later.
 */
export function deviceFile(
  program: Program,
  fd: number,
): { readonly size: bigint; readonly fill: (file: number) => void } {
  const config = configSpace(program, fd);
  return {
    size: REGIONS << REGION_SHIFT,
    fill(file) {
      // Below 2^53, so exact.
      writeSync(file, config, 0, config.length, Number(BigInt(CONFIG) << REGION_SHIFT));
    },
  };
}

function configSpace({ kernel }: Program, fd: number): Uint8Array {
  const info = new Uint8Array(RegionInfo.BYTES);
  const view = new DataView(info.buffer);
  view.setUint32(0, RegionInfo.BYTES, true);
  view.setUint32(RegionInfo.INDEX, CONFIG, true);
  if (kernel.ioctlStruct(fd, VfioCall.DEVICE_GET_REGION_INFO, info, 0) !== 0) return new Uint8Array();
  const space = new Uint8Array(Number(view.getBigUint64(RegionInfo.SIZE, true)));
  const read = kernel.pread(fd, space, view.getBigUint64(RegionInfo.OFFSET, true));
  return space.subarray(0, Math.max(read, 0));
}
