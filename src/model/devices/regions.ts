import { EINVAL, EIO, ENOMEM } from "../errno.ts";
import { type BarFacts, ROM } from "./facts.ts";
import type { PciFunction } from "./pci-function.ts";
import type { Width } from "./plug.ts";

/** `VFIO_PCI_*_REGION_INDEX`: 0 to 5 are BARs. */
export const Region = { LAST_BAR: 5, ROM, CONFIG: 7, VGA: 8, COUNT: 9 } as const;

/** Region n begins at n << 40 of the device's file. (`include/linux/vfio_pci_core.h: VFIO_PCI_OFFSET_SHIFT`) */
const SHIFT = 40n;

export function regionOf(offset: bigint): { readonly index: number; readonly at: number } {
  return { index: Number(offset >> SHIFT), at: Number(offset & ((1n << SHIFT) - 1n)) };
}

export function offsetOf(index: number): bigint {
  return BigInt(index) << SHIFT;
}

/**
 * pread of a BAR: in accesses as wide as place and length let them be. What lies in the table of MSI-X reads as ff.
 *
 * Rules: `drivers/vfio/pci/vfio_pci_rdwr.c: vfio_pci_bar_rw, vfio_pci_core_do_io_rw`.
 */
export function readBar(device: PciFunction, index: number, into: Uint8Array, at: number): number {
  const bar = device.bar(index);
  if (bar === undefined || at >= bar.bytes) return EINVAL;
  if (!bar.ports && !device.isAnswering) return EIO;
  const count = Math.min(into.length, bar.bytes - at);
  for (let done = 0; done < count; ) {
    const piece = pieceAt(device, bar, at + done, count - done);
    const bytes = into.subarray(done, done + piece.bytes);
    if (piece.width === 0 || (bar.ports && !device.hasPortsOn)) bytes.fill(0xff);
    else toBytes(bytes, device.read(bar, at + done, piece.width));
    done += piece.bytes;
  }
  return count;
}

/**
 * pread of the ROM, which is switched on for as long as that takes: the images, and ones up to the end of its region.
 *
 * Rules: `drivers/vfio/pci/vfio_pci_rdwr.c: vfio_pci_bar_rw`, `drivers/pci/rom.c: pci_map_rom`.
 */
export function readRom(device: PciFunction, into: Uint8Array, at: number): number {
  const { rom } = device.facts;
  if (rom === undefined || at >= rom.bytes) return EINVAL;
  if (!device.isAnswering) return ENOMEM; // no image is found where nobody answers (seen)
  const count = Math.min(into.length, rom.bytes - at);
  into.fill(0xff, 0, count);
  into.set(rom.images.subarray(at, at + count));
  return count;
}

/** pwrite, likewise: what lies in the table is dropped. */
export function writeBar(device: PciFunction, index: number, from: Uint8Array, at: number): number {
  const bar = device.bar(index);
  if (bar === undefined || at >= bar.bytes) return EINVAL;
  if (!bar.ports && !device.isAnswering) return EIO;
  const count = Math.min(from.length, bar.bytes - at);
  for (let done = 0; done < count; ) {
    const { bytes, width } = pieceAt(device, bar, at + done, count - done);
    if (width !== 0 && !(bar.ports && !device.hasPortsOn)) {
      device.write(bar, at + done, width, fromBytes(from.subarray(done, done + bytes), width));
    }
    done += bytes;
  }
  return count;
}

/** The next access: as many bytes as its width, or those of the table, which have none (0). */
function pieceAt(device: PciFunction, bar: BarFacts, at: number, left: number): { bytes: number; width: Width | 0 } {
  const { msix } = device.facts;
  let most = left;
  if (msix !== undefined && bar.index === msix.bar) {
    const end = msix.table + msix.vectors * 16;
    if (at >= msix.table && at < end) return { bytes: Math.min(left, end - at), width: 0 };
    if (at < msix.table) most = Math.min(left, msix.table - at);
  }
  const widest = device.machine.movesEightBytes && !bar.ports ? 8 : 4;
  const width = ([8, 4, 2, 1] as const).find((one) => one <= widest && one <= most && at % one === 0) ?? 1;
  return { bytes: width, width };
}

/** Little-endian, as PCI has them. */
function toBytes(bytes: Uint8Array, value: number | bigint): void {
  let rest = BigInt(value);
  for (let at = 0; at < bytes.length; at++) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
}

function fromBytes(bytes: Uint8Array, width: Width): number | bigint {
  let value = 0n;
  for (let at = bytes.length - 1; at >= 0; at--) value = (value << 8n) | BigInt(bytes[at] as number);
  return width === 8 ? value : Number(value);
}
