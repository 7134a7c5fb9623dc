import { Command, Nvme, Region } from "../open-device.ts";
import type { Program } from "../program.ts";
import { DEVICES, o, ofNvme, POWERNV, type Section, with64K } from "../row.ts";
import * as from from "./sources.ts";

const END = Nvme.BYTES;
const ENTRY = 16;

export const deviceBars: Section = {
  call: "a BAR: pread, pwrite",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["reads of 4 at 0 and at 8", DEVICES, o(from.pciBarRw), "4, 0xf0107ff, 4, 0x10400", ({ device: d }) => [d.reads(Region.BAR0, 0, 4), d.reads(Region.BAR0, 8, 4)]],
    ["reads of 2 at 0, of 1 at 1", DEVICES, o(from.pciBarRw), "2, 0x7ff, 1, 0x7", ({ device: d }) => [d.reads(Region.BAR0, 0, 2), d.reads(Region.BAR0, 1, 1)]],
    ["reads of 8 and of 16 at 0, of 4 at 2", DEVICES, o(from.pciBarRw), "8, 16, 4", ({ device: d }) => [d.read(Region.BAR0, 0, 8), d.read(Region.BAR0, 0, 16), d.read(Region.BAR0, 2, 4)]],
    ["a read into a pointer that leads nowhere", DEVICES, o(from.pciIoRw), "EFAULT", (p) => p.readsNowhere(Region.BAR0, 0, 4), { raw: "memory" }],
    ["a read of the last 4 bytes", DEVICES, o(from.pciBarRw), "4", ({ device: d }) => d.read(Region.BAR0, END - 4, 4)],
    ["a read and a write across the end are short", DEVICES, o(from.pciBarRw), "4, 4", ({ device: d }) => [d.read(Region.BAR0, END - 4, 8), d.write(Region.BAR0, END - 4, 8, 0)]],
    ["reads at the end and 1 MiB behind it, a write at the end", DEVICES, o(from.pciBarRw), "EINVAL, EINVAL, EINVAL", ({ device: d }) => [d.read(Region.BAR0, END, 4), d.read(Region.BAR0, END + 2 ** 20, 4), d.write(Region.BAR0, END, 4, 0)]],
    ["a read of a BAR that is not there, of a ROM that is not there", DEVICES, o(from.pciBarRw), "EINVAL, EINVAL", ({ device: d }) => [d.read(Region.BAR1, 0, 4), d.read(Region.ROM, 0, 4)]],
    ["a read of VGA, of region 9", DEVICES, o(from.pciReadWrite), "EINVAL, EINVAL", ({ device: d }) => [d.read(Region.VGA, 0, 4), d.read(9, 0, 4)]],
    ["the MSI-X table reads as ones, and what is written there is dropped", DEVICES, o(from.pciBarRw), "16, 0xffffffffffffffff, 16, 8, 0xffffffffffffffff", ({ device: d }) => [d.read(Region.BAR0, Nvme.MSIX_TABLE, ENTRY), `0x${d.got(8).toString(16)}`, d.write(Region.BAR0, Nvme.MSIX_TABLE, ENTRY, 0x2222), d.reads(Region.BAR0, Nvme.MSIX_TABLE, 8)]],
    ["a register is written and read", DEVICES, o(from.pciBarRw), "4, 4, 0x460000", ({ device: d }) => [d.write(Region.BAR0, Nvme.CONFIGURATION, 4, 0x460000), d.reads(Region.BAR0, Nvme.CONFIGURATION, 4)]],
  ]),
};

export const deviceMaps: Section = {
  call: "mmap of a device's region",
  begin: "device",
  // biome-ignore format: a table is read by its columns
  rows: ofNvme([
    ["all of BAR 0, which may be smaller than the CPU's page; a read", DEVICES, o(from.pciMmap), "mapped, 0x10400", ({ device: d }) => [d.maps(0, END), `0x${d.mapped(0, END).read32(Nvme.VERSION).toString(16)}`]],
    ["a page at its beginning", DEVICES, o(from.pciMmap), "mapped", ({ device: d, page }) => d.maps(0, Number(page))],
    ["the page of the MSI-X table", DEVICES, o(from.pciMmap), "mapped", (p) => p.device.maps(pageOf(p, Nvme.MSIX_TABLE), Number(p.page))],
    ["the MSI-X table through it: the table itself, an entry that nobody has filled", DEVICES, o(from.pciMmap), "0, 0, 0, 1", ({ device: d }) => { const registers = d.mapped(0, END); return [0, 4, 8, 12].map((at) => registers.read32(Nvme.MSIX_TABLE + at)); }],
    ["a page more than the BAR has", DEVICES, o(from.pciMmap), "EINVAL", (p) => p.device.maps(0, wholeBar(p) + Number(p.page))],
    ["the page behind it", DEVICES, o(from.pciMmap), "EINVAL", (p) => p.device.maps(wholeBar(p), Number(p.page))],
    ["an offset that is no multiple of a page", DEVICES, o("mm/mmap.c: ksys_mmap_pgoff"), "EINVAL", ({ device: d, page }) => d.maps(0x100, Number(page))],
    ["a BAR that is not there, the configuration space, a ROM that is not there, region 9", DEVICES, o(from.pciMmap), "EINVAL, EINVAL, EINVAL, EINVAL", ({ device: d, page }) => [Region.BAR1, Region.CONFIG, Region.ROM, 9].map((region) => d.maps(0, Number(page), region))],
    ["a page for reading alone, and one of which instructions can be fetched", DEVICES, o(from.pciMmap), "0, 0", (p) => [p.mmapsRaw("r", "shared"), p.mmapsRaw("rwx", "shared")], { raw: "memory" }],
    ["a page that is private (MAP_PRIVATE), for reading and writing, for reading alone", DEVICES, o(from.pciMmap), "EINVAL, EINVAL", (p) => [p.mmapsRaw("rw", "private"), p.mmapsRaw("r", "private")], { raw: "memory" }],
    ["the page of the MSI-X table, for reading alone", DEVICES, o(from.pciMmap), "0", (p) => p.mmapsRaw("r", "shared", { offset: pageOf(p, Nvme.MSIX_TABLE) }), { raw: "memory" }],
    ["the configuration space, a ROM that is not there, a BAR that is not there, for reading alone", DEVICES, o(from.pciMmap), "EINVAL, EINVAL, EINVAL", (p) => [Region.CONFIG, Region.ROM, Region.BAR1].map((region) => p.mmapsRaw("r", "shared", { region })), { raw: "memory" }],
    ["behind the end of a BAR that is smaller than the CPU's page", with64K(POWERNV), o(from.pciMmap), "mapped, 0", ({ device: d, page }) => [d.maps(0, Number(page)), d.mapped(0, Number(page)).read32(END)]],
    ["memory is switched off: a mapped access raises SIGBUS, of which the shim makes an errno; on again", DEVICES, o(from.pciFault), "EIO, EIO, 0x10400", ({ device: d }) => { const registers = d.mapped(0, END); d.commandWith(0, Command.MEMORY); const off = [registers.read32(Nvme.VERSION), registers.write32(Nvme.CONFIGURATION, 0)]; d.commandWith(Command.MEMORY); return [...off, `0x${registers.read32(Nvme.VERSION).toString(16)}`]; }],
    ["memory is switched off, and JavaScript reads a byte of what `bytes()` gave: a signal ends the process, and the device answers again when memory is on", DEVICES, o(from.pciFault), "SIGBUS, 4, 0x10400", (p) => { const ended = p.readWithoutMemory(); p.device.commandWith(Command.MEMORY); return [ended, p.device.reads(Region.BAR0, Nvme.VERSION, 4)]; }, { signal: true }],
  ]),
};

/** Bytes of BAR 0 in whole pages of the CPU. */
function wholeBar({ page }: Program): number {
  return Math.ceil(END / Number(page)) * Number(page);
}

function pageOf({ page }: Program, offset: number): number {
  return offset - (offset % Number(page));
}
