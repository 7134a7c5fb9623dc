/**
 * What a device says of itself: DEVICE_GET_INFO, GET_REGION_INFO, GET_IRQ_INFO.
 *
 * Rules: `drivers/vfio/pci/vfio_pci_core.c: vfio_pci_ioctl_get_info, vfio_pci_ioctl_get_region_info, vfio_pci_ioctl_get_irq_info`.
 *
 *     vfio_device_info   0 argsz   4 flags   8 regions   12 irqs   16 cap_offset  20 -                    = 24
 *     vfio_region_info   0 argsz   4 flags   8 index     12 cap_offset            16 size (8)  24 offset (8)  = 32
 *     vfio_irq_info      0 argsz   4 flags   8 index     12 count                                         = 16
 */
import { EINVAL } from "../errno.ts";
import type { Struct } from "../structs.ts";
import type { Interrupts } from "./interrupts.ts";
import { Irq } from "./irq-set.ts";
import type { PciFunction } from "./pci-function.ts";
import { offsetOf, Region } from "./regions.ts";

const DeviceInfo = { FIXED_BYTES: 16, BYTES: 24, RESET: 1, PCI: 2 };
const RegionInfo = { BYTES: 32, READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 };
const IrqInfo = { BYTES: 16, EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 };

/** `VFIO_REGION_INFO_CAP_MSIX_MAPPABLE`: a header alone. */
const MSIX_MAPPABLE = { ID: 3, VERSION: 1, BYTES: 8 };

export function deviceInfo(struct: Struct, canReset: boolean): number {
  struct.need(DeviceInfo.FIXED_BYTES);
  const { argsz } = struct;
  if (argsz < DeviceInfo.FIXED_BYTES) return EINVAL;
  const bytes = Math.min(argsz, DeviceInfo.BYTES);
  struct.need(bytes);
  struct.setU32(4, DeviceInfo.PCI | (canReset ? DeviceInfo.RESET : 0));
  struct.setU32(8, Region.COUNT);
  struct.setU32(12, Irq.COUNT);
  // Where capabilities begin: there are none. As much of the field as the caller has.
  for (let at = DeviceInfo.FIXED_BYTES; at < bytes; at++) struct.setU8(at, 0);
  return 0;
}

export function regionInfo(struct: Struct, device: PciFunction): number {
  struct.need(RegionInfo.BYTES);
  const { argsz } = struct;
  const index = struct.u32(8);
  if (argsz < RegionInfo.BYTES || index >= Region.VGA) return EINVAL;
  const { size, flags } = regionOf(device, index);
  const hasTable = device.facts.msix?.bar === index && (flags & RegionInfo.MMAP) !== 0;
  const needed = RegionInfo.BYTES + MSIX_MAPPABLE.BYTES;
  const hasRoom = hasTable && argsz >= needed;
  if (hasTable && !hasRoom) struct.setU32(0, needed);
  struct.setU32(4, flags | (hasTable ? RegionInfo.CAPS : 0));
  struct.setU32(12, hasRoom ? RegionInfo.BYTES : 0);
  struct.setU64(16, BigInt(size));
  struct.setU64(24, offsetOf(index));
  if (!hasRoom) return 0;
  struct.need(needed);
  struct.setU32(RegionInfo.BYTES, MSIX_MAPPABLE.ID | (MSIX_MAPPABLE.VERSION << 16));
  struct.setU32(RegionInfo.BYTES + 4, 0);
  return 0;
}

function regionOf(device: PciFunction, index: number): { readonly size: number; readonly flags: number } {
  const bar = device.bar(index);
  const both = RegionInfo.READ | RegionInfo.WRITE;
  if (bar !== undefined) return { size: bar.bytes, flags: bar.isMappable ? both | RegionInfo.MMAP : both };
  if (index === Region.CONFIG) return { size: device.config.bytes.length, flags: both };
  if (index === Region.ROM && device.facts.rom !== undefined)
    return { size: device.facts.rom.bytes, flags: RegionInfo.READ };
  return { size: 0, flags: 0 }; // a BAR that is not there, or the ROM of a device without one
}

export function irqInfo(struct: Struct, device: PciFunction, interrupts: Interrupts): number {
  struct.need(IrqInfo.BYTES);
  const index = struct.u32(8);
  if (struct.argsz < IrqInfo.BYTES || index >= Irq.COUNT) return EINVAL;
  // Errors are reported on PCI Express alone.
  if (index === Irq.ERROR && !device.facts.express) return EINVAL;
  struct.setU32(4, IrqInfo.EVENTFD | irqFlags(index, device));
  struct.setU32(12, interrupts.countOf(index));
  return 0;
}

function irqFlags(index: number, { machine }: PciFunction): number {
  if (index === Irq.INTX) return IrqInfo.MASKABLE | IrqInfo.AUTOMASKED;
  return index === Irq.MSIX && machine.growsMsix ? 0 : IrqInfo.NORESIZE;
}
