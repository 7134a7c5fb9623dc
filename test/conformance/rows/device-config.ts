import { Capability, Command, Config, hex, type OpenDevice, Region } from "../open-device.ts";
import { DEVICES, DEVICES_OF_TYPE1, ON_ROOT_BUS, o, ofNvme, POWERNV, PSERIES, type Section, SPAPR } from "../row.ts";
import * as from from "./sources.ts";

/** Bytes of the configuration space. */
const END = 4096;
const ALL_ONES = 0xffff_ffff;

/** What the power management capability's control says: the state in its two lowest bits. */
const D3HOT = 3;
/** Device control of PCI Express. */
const FLR = 0x8000;
const MSIX_ENABLE = 0x8000;
const PAYLOAD = 0xe0;

export const deviceConfig: Section = {
  call: "the configuration space: pread, pwrite",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["reads of 4 at 0: device and vendor", DEVICES, o(from.configRw), "4, 0x101b36", ({ device: d }) => d.reads(Region.CONFIG, 0, 4)],
    ["reads of 1 at 3, of 4 at 1, of 8 at 0, of 0", DEVICES, o(from.configRw), "1, 4, 8, 0", ({ device: d }) => [d.read(Region.CONFIG, 3, 1), d.read(Region.CONFIG, 1, 4), d.read(Region.CONFIG, 0, 8), d.read(Region.CONFIG, 0, 0)]],
    ["a read of all of it", DEVICES, o(from.configRw), "4096", ({ device: d }) => d.read(Region.CONFIG, 0, END)],
    ["a read into a pointer that leads nowhere, of 4 bytes and of none", DEVICES, o(from.configRw), "EFAULT, 0", (p) => [p.readsNowhere(Region.CONFIG, 0, 4), p.readsNowhere(Region.CONFIG, 0, 0)], { raw: "memory" }],
    ["a read across the end, at the end", DEVICES, o(from.configRw), "EFAULT, EFAULT", ({ device: d }) => [d.read(Region.CONFIG, END - 2, 4), d.read(Region.CONFIG, END, 4)]],
    ["a write at the end", DEVICES, o(from.configRw), "EFAULT", ({ device: d }) => d.write(Region.CONFIG, END, 4, 0)],
    ["the command register when it is opened: bus mastering is off", DEVICES_OF_TYPE1, o(from.pciEnable), "command 0x103", ({ device: d }) => d.command()],
    ["the command register when it is opened: bus mastering is off", SPAPR, o(from.pciEnable), "command 0x102", ({ device: d }) => d.command()],
    ["the vendor is written: as many bytes, and nothing has changed", DEVICES, o(from.configSingle), "2, 0x1b36", ({ device: d }) => [d.setConfig(0, 0xffff), hex(d.config(0))]],
    ["the revision is written: likewise", DEVICES, o(from.configSingle), "1, 0x2", ({ device: d }) => [d.setConfig(Config.REVISION, 0x55, 1), hex(d.config(Config.REVISION, 1))]],
    ["a BAR is written with all ones: it reads as its size", DEVICES_OF_TYPE1, o(from.configBars), "4, 0xffffc004", (p) => sizeOfBar(p.device)],
    ["a BAR is written with all ones: it reads as its size", POWERNV, o(from.configBars), "4, 0xffffc004", (p) => sizeOfBar(p.device)],
    ["a BAR is written with all ones: it reads as its size", PSERIES, o(from.configBars), "4, 0xffffc000", (p) => sizeOfBar(p.device)],
    ["that, and what was there before is written back: the device's BAR was where it was throughout", DEVICES, o(from.configBars), "4, 0x10400, 4, as it was", ({ device: d }) => { const before = d.config(Config.BAR0, 4); d.setConfig(Config.BAR0, ALL_ONES, 4); return [d.reads(Region.BAR0, 8, 4), d.setConfig(Config.BAR0, before, 4), d.config(Config.BAR0, 4) === before ? "as it was" : "changed"]; }],
    ["bus mastering is switched on", DEVICES_OF_TYPE1, o(from.configBasic), "command 0x107", ({ device: d }) => d.commandWith(Command.BUS_MASTER)],
    ["bus mastering is switched on", SPAPR, o(from.configBasic), "command 0x106", ({ device: d }) => d.commandWith(Command.BUS_MASTER)],
    ["memory is switched off: reads and writes of BAR 0", DEVICES_OF_TYPE1, o(from.pciBarRw), "command 0x101, EIO, EIO", ({ device: d }) => [d.commandWith(0, Command.MEMORY), d.read(Region.BAR0, 0, 4), d.write(Region.BAR0, 0x0c, 4, 0)]],
    ["memory is switched off: reads and writes of BAR 0", SPAPR, o(from.pciBarRw), "command 0x100, EIO, EIO", ({ device: d }) => [d.commandWith(0, Command.MEMORY), d.read(Region.BAR0, 0, 4), d.write(Region.BAR0, 0x0c, 4, 0)]],
    ["and on again", DEVICES, o(from.pciBarRw), "4, 0xf0107ff", ({ device: d }) => { d.commandWith(0, Command.MEMORY); d.commandWith(Command.MEMORY); return d.reads(Region.BAR0, 0, 4); }],
    ["its capabilities: MSI-X, PCI Express, power management", DEVICES, o(from.configRw), "11@40 10@80 01@60", ({ device: d }) => d.capabilities()],
    ["MSI-X: the number of vectors less one, the table and the pending bits in BAR 0", DEVICES, o(from.configRw), "control 0x40, 0x2000, 0x3000", ({ device: d }) => { const at = d.capability(Capability.MSIX); return [d.msixControl(), hex(d.config(at + 4, 4)), hex(d.config(at + 8, 4))]; }],
    ["MSI-X is switched on by hand: ignored", DEVICES, o(from.configMsix), "2, control 0x40", ({ device: d }) => [d.setConfig(d.controlAt(Capability.MSIX), d.config(d.controlAt(Capability.MSIX)) | MSIX_ENABLE), d.msixControl()]],
    ["D3hot: BAR 0 does not answer until it is back in D0", ON_ROOT_BUS, o(from.configPm), "2, 0xb, EIO, 2, 0x8, 4, 0xf0107ff", ({ device: d }) => sleeps(d)],
    ["D3hot: it stays in D0", POWERNV, o(from.powerState), "2, 0x8, 4, 0xf0107ff, 2, 0x8, 4, 0xf0107ff", ({ device: d }) => sleeps(d)],
    ["D3hot and D0 again: the command register is as before", DEVICES_OF_TYPE1, o(from.configPm), "command 0x103", ({ device: d }) => { sleeps(d); return d.command(); }],
    ["D3hot and D0 again: the command register is as before", SPAPR, o(from.configPm), "command 0x102", ({ device: d }) => { sleeps(d); return d.command(); }],
    ["PCI Express says that it has FLR", DEVICES, o(from.configRw), "yes", ({ device: d }) => (d.config(d.capability(Capability.EXPRESS) + 4, 4) & (1 << 28)) !== 0],
    ["FLR is written: a reset, and it reads 0", DEVICES_OF_TYPE1, o(from.configExpress), "2, 0x0, command 0x103", ({ device: d }) => [...setExpress(d, FLR, 0), d.command()]],
    ["FLR is written: a reset, and it reads 0", SPAPR, o(from.configExpress), "2, 0x0, command 0x102", ({ device: d }) => [...setExpress(d, FLR, 0), d.command()]],
    ["the largest payload is written: kept", DEVICES, o(from.configExpress), "2, 0x20", ({ device: d }) => setExpress(d, 0x20, PAYLOAD)],
  ]),
};

/** BAR 0 as a driver asks for its size: how many bytes were written, and what it reads then. */
function sizeOfBar(d: OpenDevice): readonly [number, string] {
  return [d.setConfig(Config.BAR0, ALL_ONES, 4), hex(d.config(Config.BAR0, 4))];
}

/** Into D3hot, a read, and back: what was written, what is read of the state, and what of BAR 0. */
function sleeps(d: OpenDevice): readonly (number | string)[] {
  const at = d.controlAt(Capability.PM);
  const control = d.config(at) & ~D3HOT;
  const asleep = [d.setConfig(at, control | D3HOT), hex(d.config(at)), d.reads(Region.BAR0, 0, 4)];
  return [...asleep, d.setConfig(at, control), hex(d.config(at)), d.reads(Region.BAR0, 0, 4)];
}

/** Device control of PCI Express, with bits in the place of others: how many bytes were written, and what it reads then. */
function setExpress(d: OpenDevice, on: number, off: number): readonly [number, string] {
  const at = d.controlAt(Capability.EXPRESS);
  return [d.setConfig(at, (d.config(at) & ~off) | on), hex(d.config(at))];
}
