import { before, read } from "../drift.ts";
import { Distance, hex, Irq, Region } from "../open-device.ts";
import { DEVICES, DEVICES_OF_TYPE1, ON_ROOT_BUS, o, ofNvme, POWERNV, type Section, SPAPR } from "../row.ts";
import { words } from "../words.ts";
import { GROWS } from "./changes.ts";
import * as from from "./sources.ts";

/** What there is of every device. */
const KNOWN = ["resource", "iommu_group", "driver", "driver_override", "reset_method", "numa_node", "power_state"];

/** vfio_region_info without a chain of capabilities. */
const REGION_BYTES = 32;

export const deviceInfo: Section = {
  call: "VFIO_DEVICE_GET_INFO",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["argsz 0, 8, 12: nothing is written", DEVICES, o(from.pciInfo), "EINVAL, EINVAL, EINVAL, not written", ({ device: d }) => [...[0, 8, 12].map((argsz) => d.info(argsz)), d.written(8)]],
    ["argsz 16: cap_offset is not written", DEVICES, o(from.pciInfo), "0, not written", ({ device: d }) => [d.info(16), d.written(16)]],
    ["argsz 20: no capabilities", DEVICES, o(from.pciInfo), "0, 0", ({ device: d }) => [d.info(20), d.written(16)]],
    ["argsz 24, 64: it stays as it was", DEVICES, o(from.pciInfo), "0, 24, 0, 64", ({ device: d }) => [24, 64].flatMap((argsz) => [d.info(argsz), d.u32(0)])],
    ["a pointer that leads nowhere", DEVICES, o(from.pciInfo), "EFAULT", (p) => p.callsRaw(Distance.GET_INFO, 0), { raw: "ioctl" }],
    ["what it says: PCI (2), and that it can be reset (1)", DEVICES, o(from.pciInfo), "0, flags 0x3, 9 regions, 5 interrupts", ({ device: d }) => d.infoWords()],
  ]),
};

export const deviceRegions: Section = {
  call: "VFIO_DEVICE_GET_REGION_INFO",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["BAR 0: read, write, mmap, and that the MSI-X table can be mapped (3)", DEVICES, o(from.pciRegion), "flags 0xf, 0x4000 bytes at 0x0, capability 3", ({ device: d }) => d.region(Region.BAR0)],
    ["a BAR that is not there: 1 to 5", DEVICES, o(from.pciRegion), "flags 0x0, 0x0 bytes at 0x10000000000 to 0x50000000000", ({ device: d }) => across([1, 2, 3, 4, 5].map((index) => d.region(index)))],
    ["a ROM that is not there: 6", DEVICES, o(from.pciRegion), "flags 0x0, 0x0 bytes at 0x60000000000", ({ device: d }) => d.region(Region.ROM)],
    ["the configuration space: 7", DEVICES, o(from.pciRegion), "flags 0x3, 0x1000 bytes at 0x70000000000", ({ device: d }) => d.region(Region.CONFIG)],
    ["VGA of a device that has none: 8", DEVICES, o(from.pciRegion), "EINVAL", ({ device: d }) => d.region(Region.VGA)],
    ["9, 10, 11, 2^32 - 1", DEVICES, o(from.pciRegion), "EINVAL, EINVAL, EINVAL, EINVAL", ({ device: d }) => [9, 10, 11, 0xffff_ffff].map((index) => d.regionInfo(index))],
    ["argsz 0, 8, 24, 31", DEVICES, o(from.pciRegion), "EINVAL, EINVAL, EINVAL, EINVAL", ({ device: d }) => [0, 8, 24, 31].map((argsz) => d.regionInfo(Region.BAR0, argsz))],
    ["argsz 32, and there are capabilities: argsz says how much is wanted, cap_offset is 0", DEVICES, o(from.pciRegion), "0, 40, 0", ({ device: d }) => [d.regionInfo(Region.BAR0, REGION_BYTES), d.u32(0), d.u32(12)]],
    ["argsz 40: now they are there", DEVICES, o(from.pciRegion), "0, 40, 32", ({ device: d }) => [d.regionInfo(Region.BAR0, 40), d.u32(0), d.u32(12)]],
    ["argsz 512: it stays; the capability's id, version, and that none follows", DEVICES, o(from.pciRegion), "0, 512, 0x3, 0x1, 0", ({ device: d }) => [d.regionInfo(Region.BAR0, 512), d.u32(0), hex(d.u32(32) & 0xffff), hex(d.u32(32) >>> 16), d.u32(36)]],
    ["argsz 31, and region 9: nothing is written", DEVICES, o(from.pciRegion), "EINVAL, not written, EINVAL, not written", ({ device: d }) => [d.regionInfo(Region.BAR0, 31), d.written(16), d.regionInfo(9), d.written(16)]],
    ["a pointer that leads nowhere", DEVICES, o(from.pciRegion), "EFAULT", (p) => p.callsRaw(Distance.GET_REGION_INFO, 0), { raw: "ioctl" }],
    ["flags 0xffff going in", DEVICES, o(from.pciRegion), "0, flags 0xf", ({ device: d }) => [d.regionInfo(Region.BAR0, 64, 0xffff), `flags 0x${d.u32(4).toString(16)}`]],
  ]),
};

export const deviceIrqs: Section = {
  call: "VFIO_DEVICE_GET_IRQ_INFO",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["INTx (0): eventfd, maskable, masked by itself", DEVICES, o(from.pciIrq), "1, flags 0x7", ({ device: d }) => d.irq(Irq.INTX)],
    ["MSI (1) of a device without it", DEVICES, o(from.pciIrq), "0, flags 0x9", ({ device: d }) => d.irq(Irq.MSI)],
    ["MSI-X (2): since it may grow, without NORESIZE (8)", DEVICES_OF_TYPE1, o(from.pciIrq), before(GROWS, read("65, flags 0x9"), "65, flags 0x1"), ({ device: d }) => d.irq(Irq.MSIX)],
    ["MSI-X (2), which may not grow: NORESIZE (8)", SPAPR, o(from.pciIrq), "65, flags 0x9", ({ device: d }) => d.irq(Irq.MSIX)],
    ["errors (3), requests to give it back (4)", DEVICES, o(from.pciIrq), "1, flags 0x9, 1, flags 0x9", ({ device: d }) => [d.irq(Irq.ERR), d.irq(Irq.REQ)]],
    ["5, 2^32 - 1", DEVICES, o(from.pciIrq), "EINVAL, EINVAL", ({ device: d }) => [d.irq(5), d.irq(0xffff_ffff)]],
    ["a pointer that leads nowhere", DEVICES, o(from.pciIrq), "EFAULT", (p) => p.callsRaw(Distance.GET_IRQ_INFO, 0), { raw: "ioctl" }],
    ["5: nothing is written", DEVICES, o(from.pciIrq), "EINVAL, not written", ({ device: d }) => [d.irqInfo(5), d.written(12)]],
    ["argsz 0, 12", DEVICES, o(from.pciIrq), "EINVAL, EINVAL", ({ device: d }) => [d.irqInfo(Irq.MSIX, 0), d.irqInfo(Irq.MSIX, 12)]],
  ]),
};

/** What can be known of a device by which nothing is opened. */
export const deviceFiles: Section = {
  call: "a device in sysfs",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["vendor, device, class", DEVICES, o(from.pciSysfs), "0x1b36, 0x0010, 0x010802", (p) => ["vendor", "device", "class"].map((file) => p.sysfs(file))],
    ["files and links beside them", DEVICES, o(from.pciSysfs), KNOWN.join(" "), (p) => p.sysfsHas(KNOWN)],
    ["its driver's own, and the power state", DEVICES, o(from.pciSysfs), "vfio-pci, D0", (p) => [p.sysfs("driver_override"), p.sysfs("power_state")]],
    ["bytes of BAR 0", DEVICES, o(from.pciResource), "0x4000", (p) => { const [start = 0n, last = 0n] = String(p.sysfs("resource")).split(/\s+/).map(BigInt); return last - start + 1n; }],
    ["how it can be reset", ON_ROOT_BUS, o(from.pciResetMethod), "flr", (p) => p.sysfs("reset_method")],
    ["how it can be reset", POWERNV, o(from.pciResetMethod), "flr bus", (p) => p.sysfs("reset_method")],
  ]),
};

/** Several regions that differ in their offsets alone: `flags 0x0, 0x0 bytes at 0x10000000000 to 0x50000000000`. */
function across(regions: readonly string[]): string {
  const [first = "", last = ""] = [regions[0], regions.at(-1)];
  const place = / at (0x[0-9a-f]+)/;
  const alike = new Set(regions.map((one) => one.replace(place, "")));
  return alike.size === 1 ? `${first} to ${place.exec(last)?.[1]}` : words(regions);
}
