import { VfioCall } from "../../../src/syscalls.ts";
import { Distance, Irq, Nvme, type OpenDevice, Region } from "../open-device.ts";
import type { Program } from "../program.ts";
import { DEVICES, DEVICES_OF_TYPE1, ON_ROOT_BUS, o, ofNvme, ofPort, POWERNV, type Section, SPAPR } from "../row.ts";
import * as from from "./sources.ts";

export const deviceOpen: Section = {
  call: "VFIO_GROUP_GET_DEVICE_FD",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["its descriptor, and a second one", DEVICES, o(from.deviceOpenFile), "close-on-exec, for reading and writing, close-on-exec, for reading and writing", (p) => [p.device, p.openDevice()].map(({ fd }) => p.openedHow(fd))],
    ["once more while it is open: the same device, in the same state", DEVICES, o(from.pciEnable), "command 0x6, command 0x6, 0, command 0x6", (p) => { const d = p.device; const before = d.command(6); const other = p.openDevice(); return [before, other.command(), other.close(), d.command()]; }],
    ["closed while a register is mapped: it was never closed, and the map works on", DEVICES, o(from.pciDisable), "0, 0x10400, command 0x6", (p) => { const registers = p.device.mapped(0, Nvme.BYTES); p.device.command(6); return [p.device.close(), `0x${registers.read32(Nvme.VERSION).toString(16)}`, p.openDevice().command()]; }],
    ["unmapped and closed: it was reset, and bus mastering is off", DEVICES_OF_TYPE1, o(from.pciDisable), "0, 0, command 0x103, 0x0", (p) => closedSurely(p)],
    ["unmapped and closed: it was reset, and bus mastering is off", SPAPR, o(from.pciDisable), "0, 0, command 0x102, 0x0", (p) => closedSurely(p)],
  ]),
};

export const deviceReset: Section = {
  call: "VFIO_DEVICE_RESET",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["MSI-X and bus mastering are on: so they are afterwards, and the eventfd is heard", DEVICES, o(from.pciReset), "0, command 0x6, control 0x8040, 0, heard 1", ({ device: d }) => { const event = d.event(); d.listen([event]); d.command(6); return [d.reset(), d.command(), d.msixControl(), d.fire(), d.heard(event)]; }],
    ["the device's own registers are as after power-on", DEVICES, o(from.pciReset), "4, 0x460000, 0, 4, 0x0", ({ device: d }) => { d.write(Region.BAR0, Nvme.CONFIGURATION, 4, 0x460000); return [configuration(d), d.reset(), configuration(d)]; }],
    ["with the argument 123, which is not looked at", DEVICES, o(from.pciReset), "0", (p) => p.callsRaw(Distance.RESET, 123), { raw: "ioctl" }],
    ["a register is mapped: it is so afterwards, and answers", DEVICES, o(from.pciReset), "0, 0x10400, command 0x6", ({ device: d }) => { d.command(6); const registers = d.mapped(0, Nvme.BYTES); return [d.reset(), `0x${registers.read32(Nvme.VERSION).toString(16)}`, d.command()]; }],
  ]),
};

export const hotReset: Section = {
  call: "VFIO_DEVICE_PCI_HOT_RESET",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["GET_PCI_HOT_RESET_INFO with argsz 0, 11", DEVICES, o(from.pciHotInfo), "EINVAL, count 0, EINVAL, count 0", ({ device: d }) => [0, 11].map((argsz) => d.hotResetInfo(argsz))],
    ["GET_PCI_HOT_RESET_INFO of a device on the root bus: argsz 12, 16, 20, 28, 1024", ON_ROOT_BUS, o(from.pciHotInfo), "ENODEV, ENODEV, ENODEV, ENODEV, ENODEV", ({ device: d }) => [12, 16, 20, 28, 1024].map((argsz) => d.hotResetInfo(argsz).replace(", count 0", ""))],
    ["GET_PCI_HOT_RESET_INFO without room for the device: argsz 12, 16", POWERNV, o(from.pciHotInfo), "ENOSPC, count 1, ENOSPC, count 1", ({ device: d }) => [12, 16].map((argsz) => d.hotResetInfo(argsz))],
    ["GET_PCI_HOT_RESET_INFO with room: argsz 20, 28, 1024", POWERNV, o(from.pciHotInfo), "0, count 1, 0, count 1, 0, count 1", ({ device: d }) => [20, 28, 1024].map((argsz) => d.hotResetInfo(argsz))],
    ["GET_PCI_HOT_RESET_INFO with room: the group and the address of the device", POWERNV, o(from.pciHotInfo), "0, count 1, its own group, its own address", (p) => tellsOfItself(p, p.nvmeName)],
    ["pointers that lead nowhere: GET_PCI_HOT_RESET_INFO, PCI_HOT_RESET", DEVICES, o(from.pciHotReset), "EFAULT, EFAULT", (p) => [Distance.GET_HOT_RESET_INFO, Distance.HOT_RESET].map((distance) => p.callsRaw(distance, 0)), { raw: "ioctl" }],
    ["no group; argsz 8", DEVICES, o(from.pciHotReset), "EINVAL, EINVAL", ({ device: d }) => [d.hotReset([]), d.hotReset([], 8)]],
    ["the group's descriptor, of a device on the root bus; the container's", ON_ROOT_BUS, o(from.pciHotReset), "ENODEV, ENODEV", (p) => [p.device.hotReset([p.group]), p.device.hotReset([p.container])]],
    ["the group's descriptor: bus mastering is on afterwards", POWERNV, o(from.pciHotReset), "0, command 0x6", (p) => { p.device.command(6); return [p.device.hotReset([p.group]), p.device.command()]; }],
    ["the container's descriptor", POWERNV, o(from.pciHotReset), "EINVAL", (p) => p.device.hotReset([p.container])],
  ]),
};

/** What x86's emulated root port does when its bus is to be reset. */
export const behindPort: Section = {
  call: "a controller behind a root port",
  begin: "port",
  // biome-ignore format: a table is read by its columns
  rows: ofPort([
    ["how it can be reset, as sysfs says", DEVICES_OF_TYPE1, o(from.pciResetMethod), "flr bus", (p) => p.sysfs("reset_method", p.portName)],
    ["GET_PCI_HOT_RESET_INFO without room for the device: argsz 12, 16", DEVICES_OF_TYPE1, o(from.pciHotInfo), "ENOSPC, count 1, ENOSPC, count 1", ({ device: d }) => [12, 16].map((argsz) => d.hotResetInfo(argsz))],
    ["GET_PCI_HOT_RESET_INFO with room: argsz 20, 28, 1024", DEVICES_OF_TYPE1, o(from.pciHotInfo), "0, count 1, 0, count 1, 0, count 1", ({ device: d }) => [20, 28, 1024].map((argsz) => d.hotResetInfo(argsz))],
    ["GET_PCI_HOT_RESET_INFO with room: the group and the address of the device", DEVICES_OF_TYPE1, o(from.pciHotInfo), "0, count 1, its own group, its own address", (p) => tellsOfItself(p, p.portName)],
    ["PCI_HOT_RESET with no group, with argsz 8, with the container's descriptor, with two groups", DEVICES_OF_TYPE1, o(from.pciHotReset), "EINVAL, EINVAL, EINVAL, EINVAL", (p) => [p.device.hotReset([]), p.device.hotReset([], 8), p.device.hotReset([p.container]), p.device.hotReset([p.group, p.group])]],
    ["PCI_HOT_RESET with the group's descriptor: the port does not bring the bus back", DEVICES_OF_TYPE1, o(from.bridgeWait), "ENOTTY", (p) => p.device.hotReset([p.group])],
    ["that: the configuration space is as it was, and the device's own registers as after power-on", DEVICES_OF_TYPE1, o(from.bridgeWait), "command 0x6, ENOTTY, command 0x6, 4, 0x0", (p) => { const d = p.device; d.write(Region.BAR0, Nvme.CONFIGURATION, 4, 0x460000); return [d.command(6), d.hotReset([p.group]), d.command(), configuration(d)]; }],
    ["DEVICE_RESET, which is FLR here", DEVICES_OF_TYPE1, o(from.pciReset), "0, command 0x6, 4, 0x0", ({ device: d }) => { d.command(6); d.write(Region.BAR0, Nvme.CONFIGURATION, 4, 0x460000); return [d.reset(), d.command(), configuration(d)]; }],
  ]),
};

/** What GET_PCI_HOT_RESET_INFO says of the device, held against its name and sysfs. */
function tellsOfItself(p: Program, name: string): readonly string[] {
  const answer = p.device.hotResetInfo(20);
  const [group, address] = p.device.hotResetDevice();
  const same = (is: boolean, what: string) => `${is ? "its own" : "another"} ${what}`;
  return [answer, same(p.groupOf(name) === group, "group"), same(address === name, "address")];
}

export const deviceOthers: Section = {
  call: "other calls on a device",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["DEVICE_FEATURE, asked whether there is: 0, 1, 2", DEVICES, o(from.deviceFeature), "ENOTTY, ENOTTY, ENOTTY", ({ device: d }) => [0, 1, 2].map((feature) => d.probes(feature))],
    ["DEVICE_FEATURE, asked whether there is low power: 3, 4, 5", DEVICES, o(from.deviceFeature), "0, 0, 0", ({ device: d }) => [3, 4, 5].map((feature) => d.probes(feature))],
    ["DEVICE_FEATURE, asked whether there is: 6 to 10", DEVICES, o(from.deviceFeature), "ENOTTY, ENOTTY, ENOTTY, ENOTTY, ENOTTY", ({ device: d }) => [6, 7, 8, 9, 10].map((feature) => d.probes(feature))],
    ["DEVICE_FEATURE, a pointer that leads nowhere", DEVICES, o(from.deviceFeature), "EFAULT", (p) => p.callsRaw(Distance.FEATURE, 0), { raw: "ioctl" }],
    ["a number that is no call: 99", DEVICES, o(from.pciIoctl), "ENOTTY", (p) => p.callsRaw(Distance.NOBODYS, 0), { raw: "ioctl" }],
    ["a container's MAP_DMA: it is PCI_HOT_RESET here", DEVICES, o(from.pciHotReset), "EINVAL", ({ device: d }) => d.foreign(VfioCall.IOMMU_MAP_DMA, 32)],
    ["GET_API_VERSION, CHECK_EXTENSION, SET_IOMMU", DEVICES, o(from.deviceIoctl), "ENOTTY, ENOTTY, ENOTTY", ({ device: d, kernel }) => [VfioCall.GET_API_VERSION, VfioCall.CHECK_EXTENSION, VfioCall.SET_IOMMU].map((call) => kernel.ioctl(d.fd, call, 0))],
    ["a device's call, asked of a container and of a group", DEVICES, o(from.deviceIoctl), "ENOTTY, ENOTTY", ({ kernel, container, group }) => [container, group].map((fd) => kernel.ioctlStruct(fd, VfioCall.DEVICE_GET_IRQ_INFO, new Uint8Array(16), 0))],
  ]),
};

export const unbind: Section = {
  call: "an unbind while the device is open",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["the request is heard, and the device goes on; closed, the unbind is through", DEVICES, o(from.pciRequest), "heard, 4, 0, yes", (p) => { const event = asks(p.device); const away = p.takeAway(); return [p.device.hears(event), p.device.read(Region.BAR0, 0, 4), p.device.close(), away.isThrough()]; }],
    ["it is not given back: the request comes again", DEVICES, o(from.vfioUnregister), "heard, heard, 0, yes", (p) => { const event = asks(p.device); const away = p.takeAway(); const once = p.device.hears(event); away.goOn(); return [once, p.device.hears(event), p.device.close(), away.isThrough()]; }],
    ["DEVICE_RESET meanwhile: whoever unbinds has the device's lock", DEVICES, o(from.pciTryReset), "heard, EAGAIN", (p) => { const event = asks(p.device); p.takeAway(); return [p.device.hears(event), p.device.reset()]; }],
    ["once more opened meanwhile", DEVICES, o(from.vfioUnregister), "heard, ENODEV", (p) => { const event = asks(p.device); p.takeAway(); return [p.device.hears(event), p.getDevice(p.nvmeName)]; }],
    ["a register is mapped: it is through only when that is unmapped too", DEVICES, o(from.pciRequest), "heard, 0, 0x10400, 0, yes", (p) => { const d = p.device; const event = asks(d); const registers = d.mapped(0, Nvme.BYTES); const away = p.takeAway(); return [d.hears(event), d.close(), `0x${registers.read32(Nvme.VERSION).toString(16)}`, d.unmapAll(), away.isThrough()]; }],
    ["afterwards, UNMAP of what was mapped: group and maps went with the device", DEVICES, o(from.detachGroup), "0, heard, yes, EINVAL", (p) => { p.register(p.va, p.page); const mapped = p.map(p.va, 0n, p.page); const event = asks(p.device); const away = p.takeAway(); const heard = p.device.hears(event); p.device.close(); return [mapped, heard, away.isThrough(), p.unmap(0n, p.page)]; }],
  ]),
};

/** An eventfd for the request to give the device back. */
function asks(d: OpenDevice): number {
  const event = d.event();
  d.listen([event], 0, Irq.REQ);
  return event;
}

function configuration(d: OpenDevice): string {
  return d.reads(Region.BAR0, Nvme.CONFIGURATION, 4);
}

/** With bus mastering on and a register written and mapped: unmapped, closed, and opened again. */
function closedSurely(p: Program): readonly (number | string)[] {
  const registers = p.device.mapped(0, Nvme.BYTES);
  p.device.command(6);
  registers.write32(Nvme.CONFIGURATION, 0x460000);
  const ends = [p.device.unmapAll(), p.device.close()];
  const again = p.openDevice();
  return [...ends, again.command(), `0x${again.mapped(0, Nvme.BYTES).read32(Nvme.CONFIGURATION).toString(16)}`];
}
