/** The regions of a device: its BARs, its ROM, its configuration space. */

import { argumentRangeError, DmaWindowError } from "../errors.ts";
import { hex } from "../hex.ts";
import { readable as shown } from "../inspect.ts";
import { VfioCall } from "../syscalls.ts";
import { count as whole } from "../validate.ts";
import type { DeviceFile } from "./file.ts";
import { LONGEST_STRUCT, type RegionArea, type RegionFacts, readRegionInfo, regionInfo } from "./structs.ts";

/** Indexes of a PCI device's regions: `VFIO_PCI_BAR0_REGION_INDEX` and following. */
export const ROM_REGION = 6;
export const CONFIG_REGION = 7;
const VGA_REGION = 8;

/** A region of a device, as the kernel shows it. */
export interface DeviceRegion {
  /** The number that the kernel has it under, and `device.bar(n)` takes up to 6. */
  readonly index: number;
  /** `bar0` to `bar5`, `rom`, `config`, `vga`; `region9` and following are a driver's own. */
  readonly name: string;
  /** Bytes; 0n where the device has none of that number. */
  readonly bytes: bigint;
  /** Where it lies in the device's descriptor, in bytes. */
  readonly offset: bigint;
  /** Accesses of each kind, be they mapped or system calls. */
  readonly readable: boolean;
  readonly writable: boolean;
  /** Its bytes can be mapped; else each access is a system call, as of I/O ports. */
  readonly mappable: boolean;
  /** With the page that has the MSI-X table, as since Linux 4.16. */
  readonly msixMappable: boolean;
  /** The parts that can be mapped, where that is not all of it; in bytes from the region's beginning. */
  readonly sparse: readonly RegionArea[] | undefined;
}

export type { RegionArea } from "./structs.ts";

const ABSENT: Omit<RegionFacts, "needed"> = {
  offset: 0n,
  bytes: 0n,
  readable: false,
  writable: false,
  mappable: false,
  msixMappable: false,
  sparse: undefined,
};

/** A file ends before 2^63 (off_t). A BAR has at most 2^52 bytes, as addresses of memory have; so its length is exact as a number. */
const FILE_END = 1n << 63n;
const MOST_BYTES = 1n << 52n;

function checkPlace({ where: { address, group } }: DeviceFile, name: string, offset: bigint, bytes: bigint): void {
  if (bytes <= MOST_BYTES && offset + bytes <= FILE_END) return;
  const words = `${name} of device ${address} has ${bytes} bytes at offset ${hex(offset)} of its descriptor, as the kernel says`;
  throw new DmaWindowError("ERR_MALFORMED_INFO", `${words}: a region has at most 2^52, and ends below 2^63`, {
    facts: { address, group, region: name, offset, bytes },
  });
}

/** @throws `ERR_KERNEL`, `ERR_INTERFACE`, `ERR_MALFORMED_INFO`. */
export function readRegions(file: DeviceFile, count: number): DeviceRegion[] {
  return Array.from({ length: count }, (_, index) => {
    const { offset, bytes, readable, writable, mappable, msixMappable, sparse } = readRegion(file, index);
    if (index <= CONFIG_REGION) checkPlace(file, nameOf(index), offset, bytes);
    return shown({ index, name: nameOf(index), bytes, offset, readable, writable, mappable, msixMappable, sparse });
  });
}

/** Asked once more with room for the capabilities, where there are some. */
function readRegion(file: DeviceFile, index: number): Omit<RegionFacts, "needed"> {
  const first = regionInfo(index);
  const answer = file.call(VfioCall.DEVICE_GET_REGION_INFO, first);
  // EINVAL: the device has no VGA region (drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_get_region_info)
  if (answer < 0 && index === VGA_REGION) return ABSENT;
  if (answer !== 0) throw file.refused("VFIO_DEVICE_GET_REGION_INFO", answer, { region: index });
  const facts = readRegionInfo(first);
  if (facts.needed <= first.length) return facts;
  const longer = regionInfo(index, Math.min(facts.needed, LONGEST_STRUCT));
  file.ask(VfioCall.DEVICE_GET_REGION_INFO, longer, { region: index });
  return readRegionInfo(longer);
}

function nameOf(index: number): string {
  if (index < ROM_REGION) return `bar${index}`;
  if (index === ROM_REGION) return "rom";
  if (index === CONFIG_REGION) return "config";
  return index === VGA_REGION ? "vga" : `region${index}`;
}

/** A BAR's number, or 6 for the ROM. @throws TypeError, RangeError. */
export function checkBarIndex(index: number): number {
  if (whole("index", index) <= ROM_REGION) return index;
  throw argumentRangeError("index", "a BAR's number from 0 to 5, or 6 for the ROM", index);
}
