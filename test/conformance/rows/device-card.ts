import { Capability, Command, Config, Irq, Region } from "../open-device.ts";
import { DEVICES_OF_TYPE1, o, ofCard, type Section } from "../row.ts";
import * as from from "./sources.ts";

/** Its I/O ports. */
const PORTS = 2;

/** Bytes of its ROM's region, and of the image in it (`card-rom.ts`). */
const ROM_BYTES = 2048;
const ROM_IMAGE = 512;

/** What an NVMe controller has not: I/O ports, MSI, a table of MSI-X in a BAR of its own, a ROM, and no FLR. */
export const networkCard: Section = {
  call: "a network card (e1000e)",
  begin: "card",
  // biome-ignore format: a table is read by its columns
  rows: ofCard([
    ["what it says: PCI (2), and that it can be reset (1)", DEVICES_OF_TYPE1, o(from.pciInfo), "0, flags 0x3, 9 regions, 5 interrupts", ({ device: d }) => d.infoWords()],
    ["BAR 0, 1: read, write, mmap", DEVICES_OF_TYPE1, o(from.pciRegion), "flags 0x7, 0x20000 bytes at 0x0, flags 0x7, 0x20000 bytes at 0x10000000000", ({ device: d }) => [d.region(0), d.region(1)]],
    ["I/O ports (BAR 2): read, write, no mmap", DEVICES_OF_TYPE1, o(from.pciRegion), "flags 0x3, 0x20 bytes at 0x20000000000", ({ device: d }) => d.region(PORTS)],
    ["BAR 3 with the table of MSI-X", DEVICES_OF_TYPE1, o(from.pciRegion), "flags 0xf, 0x4000 bytes at 0x30000000000, capability 3", ({ device: d }) => d.region(3)],
    ["mmap of ports", DEVICES_OF_TYPE1, o(from.pciMmap), "EINVAL", ({ device: d, page }) => d.maps(0, Number(page), PORTS)],
    ["reads of ports: of 4 at 0, across the end, behind it", DEVICES_OF_TYPE1, o(from.pciBarRw), "4, 4, EINVAL", ({ device: d }) => [d.read(PORTS, 0, 4), d.read(PORTS, 0x1c, 8), d.read(PORTS, 0x20, 4)]],
    ["INTx, MSI, MSI-X", DEVICES_OF_TYPE1, o(from.pciIrqCount), "1, flags 0x7, 1, flags 0x9, 5", ({ device: d }) => [d.irq(Irq.INTX), d.irq(Irq.MSI), d.vectors(Irq.MSIX)]],
    ["MSI: an eventfd, fired, switched off", DEVICES_OF_TYPE1, o(from.msiEnable), "0, 0, heard 1, 0", ({ device: d }) => { const event = d.event(); return [d.listen([event], 0, Irq.MSI), d.fire(0, 1, Irq.MSI), d.heard(event), d.disable(Irq.MSI)]; }],
    ["MSI-X while MSI is on", DEVICES_OF_TYPE1, o(from.msiTrigger), "0, EINVAL", ({ device: d }) => [d.listen([d.event()], 0, Irq.MSI), d.listen([d.event()])]],
    ["DEVICE_RESET", DEVICES_OF_TYPE1, o(from.pciReset), "0", ({ device: d }) => d.reset()],
    ["closed with bus mastering on, and opened again: it is off", DEVICES_OF_TYPE1, o(from.pciDisable), "command 0x6, 0, command 0x103", (p) => { const before = p.device.command(6); return [before, p.device.close(), p.openDevice(p.cardName).command()]; }],
    ["how it can be reset, as sysfs says", DEVICES_OF_TYPE1, o(from.pciResetMethod), "pm", (p) => p.sysfs("reset_method", p.cardName)],
    ["PCI Express says that it has no FLR", DEVICES_OF_TYPE1, o(from.configRw), "no", ({ device: d }) => (d.config(d.capability(Capability.EXPRESS) + 4, 4) & (1 << 28)) !== 0],
    ["its ROM: read, no write, no mmap", DEVICES_OF_TYPE1, o(from.pciRegion), "flags 0x1, 0x800 bytes at 0x60000000000", ({ device: d }) => d.region(Region.ROM)],
    ["reads of the ROM: its first 4 bytes, 4 behind its image, across its end, at its end", DEVICES_OF_TYPE1, o(from.pciBarRw), "4, 0x1aa55, 4, 0xffffffff, 4, EINVAL", ({ device: d }) => [...[0, ROM_IMAGE].map((at) => { const bytes = d.read(Region.ROM, at, 4); return `${bytes}, 0x${d.got(4).toString(16)}`; }), d.read(Region.ROM, ROM_BYTES - 4, 8), d.read(Region.ROM, ROM_BYTES, 4)]],
    ["a write to the ROM", DEVICES_OF_TYPE1, o(from.pciReadWrite), "EINVAL", ({ device: d }) => d.write(Region.ROM, 0, 4, 0)],
    ["the ROM, while memory is switched off", DEVICES_OF_TYPE1, o(from.pciMapRom), "command 0x101, ENOMEM, flags 0x1, 0x800 bytes at 0x60000000000", ({ device: d }) => [d.commandWith(0, Command.MEMORY), d.read(Region.ROM, 0, 4), d.region(Region.ROM)]],
    ["mmap of the ROM", DEVICES_OF_TYPE1, o(from.pciMmap), "EINVAL", ({ device: d, page }) => d.maps(0, Number(page), Region.ROM)],
    ["the ROM's register is written with all ones: it reads as its size, and the bit that switches it on", DEVICES_OF_TYPE1, o(from.configBars), "4, 0xfffff801", ({ device: d }) => [d.setConfig(Config.ROM, 0xffff_ffff, 4), `0x${d.config(Config.ROM, 4).toString(16)}`]],
  ]),
};
