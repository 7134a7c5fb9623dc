import { Protection } from "../../../src/syscalls.ts";
import { before, orCrash } from "../drift.ts";
import type { Program } from "../program.ts";
import { o, POWERNV, PSERIES, type Section, SPAPR, with4K, with64K } from "../row.ts";
import { words } from "../words.ts";
import { WHOLE_UNMAP } from "./changes.ts";
import * as from from "./sources.ts";
import { alike, otherBits, zombie, zombieBytes } from "./support.ts";

const top = 2n ** 64n;
const GiB = 2n ** 30n;
const MiB = 2n ** 20n;
const HIGH = 2n ** 59n;

/** Before anything was registered. */
export const mapFirst: Section = {
  call: "VFIO_IOMMU_MAP_DMA (sPAPR)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["as the first call on the container", SPAPR, o(from.tceIoctl), "EPERM, VmLck +0", (p) => [p.map(p.va, 0n, p.page), p.charged()]],
    ["that, with argsz 0 and unknown flags", SPAPR, o(from.tceIoctl), "EPERM", (p) => p.map(p.va, 1n, 1n, { argsz: 0, flags: 99 })],
    ["after a CREATE, nothing registered", SPAPR, o(from.tceIoctl), "0, EPERM", (p) => [p.create(12, 2n ** 20n), p.map(p.va, 0n, p.page)]],
    ["after a REMOVE, nothing registered", SPAPR, o(from.tceIoctl), "0, EPERM", (p) => [p.remove(0n), p.map(p.va, 0n, p.page)]],
    ["after a REGISTER that failed", SPAPR, o(from.tceIoctl), "EINVAL, EPERM", (p) => [p.register(p.va + 1n, p.page), p.map(p.va, 0n, p.page)]],
    ["of what a second container registered, nothing registered here", SPAPR, o(from.tceIoctl), "0, EPERM", (p) => { const other = p.another(); return [p.register(p.va, p.page), other.map(p.va, 0n, p.page)]; }, { groups: 2 }],
    ["of what a second container registered, something else registered here", SPAPR, o(from.mmLookup), "0, 0, 0, 0", (p) => { const other = p.another(); return [p.register(p.va, p.page), other.register(p.va + p.page, p.page), other.map(p.va, 0n, p.page), other.unmap(0n, p.page)]; }, { groups: 2 }],
    ["with no window: the default one removed", SPAPR, o(from.tceFind), "0, 0, ENXIO", (p) => [p.remove(0n), p.register(p.va, p.page), p.map(p.va, 0n, p.page)]],
  ],
};

export const map: Section = {
  call: "VFIO_IOMMU_MAP_DMA (sPAPR)",
  begin: "registered",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["a registered page", SPAPR, o(from.tceBuild), "0", (p) => p.map(p.va, 0n, p.page)],
    ["all of a registered range", SPAPR, o(from.tceBuild), "0", (p) => p.map(p.va, 0n, 8n * p.page)],
    ["a longer struct", SPAPR, o(from.tceIoctl), "0", (p) => p.map(p.va, 0n, p.page, { argsz: 200 })],
    ["argsz 0, 24, 31", SPAPR, o(from.tceIoctl), "EINVAL", (p) => alike([0, 24, 31].map((argsz) => p.map(p.va, 0n, p.page, { argsz })))],
    ["READ only, WRITE only", SPAPR, o(from.tceIoctl), "0, 0", (p) => [p.map(p.va, 0n, p.page, { flags: 1 }), p.map(p.va, p.page, p.page, { flags: 2 })]],
    ["flags 0", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.map(p.va, 0n, p.page, { flags: 0 })],
    ["any other flag, alone and beside READ and WRITE", SPAPR, o(from.tceIoctl), "EINVAL", (p) => alike(otherBits(3).flatMap((bit) => [bit, (bit | 3) >>> 0]).map((flags) => p.map(p.va, 0n, p.page, { flags })))],
    ["size 0", SPAPR, o(from.tceBuild), "0", (p) => p.map(p.va, 0n, 0n)],
    ["size 0 of memory that is not registered", SPAPR, o(from.tceBuild), "0, 0", (p) => [p.map(p.unregistered, 0n, 0n), p.map(0n, 0n, 0n)]],
    ["size 1", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.map(p.va, 0n, 1n)],
    ["size 2^63, 2^64 - 4 KiB from registered memory on", POWERNV, o(from.tceBuild), "EINVAL, EINVAL", (p) => [p.map(p.va, 0n, 2n ** 63n), p.map(p.va, 0n, top - 4096n)]],
    ["size 2^63, 2^64 - 4 KiB from registered memory on", PSERIES, o(from.tceBuild), "EINVAL, EINVAL", (p) => [p.map(p.va, 0n, 2n ** 63n), p.map(p.va, 0n, top - 4096n)]],
    ["size 2^64 - 1", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.map(p.va, 0n, top - 1n)],
    ["a page that is not registered", SPAPR, o(from.mmLookup), "EINVAL", (p) => p.map(p.unregistered, 0n, p.page)],
    ["vaddr 0, above every process, the last page there is", SPAPR, o(from.mmLookup), "EINVAL", (p) => alike([0n, 2n ** 62n, top - p.page].map((va) => p.map(va, 0n, p.page)))],
    ["vaddr at the last page there is, two pages", SPAPR, o(from.mmLookup), "EINVAL", (p) => p.map(top - p.page, 0n, 2n * p.page)],
    ["vaddr one byte off", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.map(p.va + 1n, 0n, p.page)],
    ["size one byte off", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.map(p.va, 0n, p.page + 1n)],
    ["iova one byte off: the errno becomes a truth value", SPAPR, o(from.checkIoba), "1", (p) => p.map(p.va, 1n, p.page)],
    ["iova one byte off, size 0", SPAPR, o(from.checkIoba), "1", (p) => p.map(p.va, 1n, 0n)],
    ["iova and vaddr off; iova and size off; iova off and flags 0", SPAPR, o(from.tceIoctl), "EINVAL, EINVAL, EINVAL", (p) => [p.map(p.va + 1n, 1n, p.page), p.map(p.va, 1n, p.page + 1n), p.map(p.va, 1n, p.page, { flags: 0 })]],
    ["iova outside every window", SPAPR, o(from.tceFind), "ENXIO", (p) => p.map(p.va, 2n ** 50n, p.page)],
    ["iova outside, and flags 0, or size 0, or vaddr and size off", SPAPR, o(from.tceIoctl), "ENXIO, ENXIO, ENXIO", (p) => [p.map(p.va, 2n ** 50n, p.page, { flags: 0 }), p.map(p.va, 2n ** 50n, 0n), p.map(p.va + 1n, 2n ** 50n, 1n)]],
    ["iova outside, and unknown flags", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.map(p.va, 2n ** 50n, p.page, { flags: 4 })],
    ["the last iova there is", SPAPR, o(from.tceFind), "ENXIO", (p) => p.map(p.va, top - p.page, 2n * p.page)],
    ["the last byte there is", SPAPR, o(from.tceFind), "ENXIO", (p) => p.map(p.va, top - 1n, p.page)],
    ["the window's last page", POWERNV, o(from.tceBuild), "0", (p) => p.map(p.va, 2n * GiB - p.page, p.page)],
    ["the window's last page", PSERIES, o(from.tceBuild), "0", (p) => p.map(p.va, GiB - p.page, p.page)],
    ["the first page behind the window", POWERNV, o(from.tceFind), "ENXIO", (p) => p.map(p.va, 2n * GiB, p.page)],
    ["the first page behind the window", PSERIES, o(from.tceFind), "ENXIO", (p) => p.map(p.va, GiB, p.page)],
    ["starts inside the window and runs past its end: only the start is checked, and memory behind the table is written", with4K(POWERNV), o(from.tceFind), before(WHOLE_UNMAP, orCrash("0, 0"), orCrash("0, 1; 32 KiB stay charged")), (p) => [p.map(p.va, 2n * GiB - p.page, 2n * p.page), p.unmap(2n * GiB - p.page, 2n * p.page)], { reboot: true }],
    ["starts inside the window and runs past its end: only the start is checked, and memory behind the table is written", with64K(POWERNV), o(from.tceFind), before(WHOLE_UNMAP, orCrash("0, 0"), orCrash("0, 1; 512 KiB stay charged")), (p) => [p.map(p.va, 2n * GiB - p.page, 2n * p.page), p.unmap(2n * GiB - p.page, 2n * p.page)], { reboot: true }],
    ["starts inside the window and runs past its end", PSERIES, o(from.psBuild), "Oops", (p) => p.map(p.va, GiB - p.page, 2n * p.page), { reboot: true }],
    ["runs past the end of a window whose table does not fill a page of the CPU: firmware refuses, and the page stays counted, so UNREGISTER leaves a zombie", PSERIES, o(from.psBuild), "0, 0, 0, EINTR, 0, ENOENT; 64 KiB stay charged", (p) => [p.unregister(p.va, 8n * p.page), p.create(12, MiB), p.register(p.va, zombieBytes), p.map(p.va, HIGH + MiB - 4096n, 8192n), p.unregister(p.va, zombieBytes), p.unregister(p.va, zombieBytes)]],
    ["that, over a live map: what it wrote is cleared", PSERIES, o(from.psBuild), "0, 0, 0, EINTR, 0, 0; 64 KiB stay charged", (p) => [p.unregister(p.va, 8n * p.page), p.create(12, MiB), p.register(p.va, zombieBytes), p.map(p.va, HIGH + MiB - 8192n, 12288n), p.map(p.va, HIGH + MiB - 4096n, 4096n), p.unregister(p.va, zombieBytes)]],
    ["in a window of 2 TiB in 4 KiB pages, whose CREATE answered 0: for its view of user addresses there is no memory", PSERIES, o(from.psView), "Oops", (p) => p.create(12, 2n ** 41n) || p.map(p.va, HIGH, p.page), { reboot: true }],
    ["runs past the window's end, its second page not registered", PSERIES, o(from.tceBuild), "EINVAL", (p) => p.map(p.va + 7n * p.page, GiB - p.page, 2n * p.page)],
    ["over two registered ranges that adjoin", SPAPR, o(from.mmLookup), "0, 0", (p) => [p.register(p.va + 8n * p.page, p.page), p.map(p.va + 7n * p.page, 0n, 2n * p.page)]],
    ["over two registered ranges with a hole between them", SPAPR, o(from.mmLookup), "0, EINVAL", (p) => [p.register(p.va + 9n * p.page, p.page), p.map(p.va + 7n * p.page, 0n, 3n * p.page)]],
    ["half a page of a 64K kernel, through TCE pages of 4 KiB", with64K(SPAPR), o(from.mmToPhysical), "0, 0", (p) => [p.map(p.va + 4096n, 0n, 4096n), p.map(p.va, 4096n, 0x8000n)]],
    ["iova in steps of 4 KiB", with64K(SPAPR), o(from.checkIoba), "0", (p) => p.map(p.va, 4096n, p.page)],
    ["where something is mapped: replaced without a word", SPAPR, o(from.tceBuild), "0, 0", (p) => [p.map(p.va, 0n, p.page), p.map(p.va + p.page, 0n, p.page)]],
    ["the same once more", SPAPR, o(from.tceBuild), "0, 0", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, 0n, p.page)]],
    ["the same memory at two IOVAs: UNREGISTER leaves a zombie until both are unmapped", SPAPR, o(from.mmPut), "0, 0, 0, 0", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, p.page, p.page), p.unmap(0n, 2n * p.page), p.unregister(p.va, 8n * p.page)]],
    ["charges nothing beyond its window", SPAPR, o(from.tceBuild), "0, 0, VmLck +0", (p) => { p.map(p.va, 0n, p.page); p.charged(); return [p.map(p.va, 0n, 8n * p.page), p.map(p.va, 2n ** 20n, 8n * p.page), p.charged()]; }],
    ["fails halfway over nothing: what it wrote is cleared, so UNREGISTER leaves no zombie", SPAPR, o(from.tceBuild), "EINVAL, 0", (p) => [p.map(p.va + 6n * p.page, 0n, 3n * p.page), p.unregister(p.va, 8n * p.page)]],
    ["memory that was munmapped after REGISTER", SPAPR, o(from.mmToPhysical), "0, 0", (p) => [p.munmap(p.va, p.page), p.map(p.va, 0n, p.page)]],
    ["registered memory where PROT_NONE was mmapped since: it maps what was pinned", SPAPR, o(from.mmToPhysical), "0", (p) => { p.munmap(p.va, p.page); p.mmapAt(p.va, p.page, Protection.NONE); return p.map(p.va, 0n, p.page); }],
    ["from a zombie", SPAPR, o(from.mmLookup), "0; 64 KiB stay charged", (p) => { p.unregister(p.va, 8n * p.page); return zombie(p).map(p.va, 2n ** 20n, zombieBytes); }],
    ["after UNREGISTER", SPAPR, o(from.mmLookup), "0, EINVAL", (p) => [p.unregister(p.va, 8n * p.page), p.map(p.va, 0n, p.page)]],
    ["in the window at 1 << 59, its first and last page", POWERNV, o(from.tceBuild), "0, 0, 0, ENXIO", (p) => [p.create(12, 2n ** 21n), p.map(p.va, 2n ** 59n, p.page), p.map(p.va, 2n ** 59n + 2n ** 21n - p.page, p.page), p.map(p.va, 2n ** 59n - p.page, p.page)]],
    ["in the window at 1 << 59, its first and last page", PSERIES, o(from.tceBuild), "0, 0, 0, ENXIO", (p) => [p.create(12, 2n ** 21n), p.map(p.va, 2n ** 59n, p.page), p.map(p.va, 2n ** 59n + 2n ** 21n - p.page, p.page), p.map(p.va, 2n ** 59n - p.page, p.page)]],
  ],
};

/** Mmaps memory in halves, and touches the first before the second is there: Linux makes no hugepage of them then. */
function inSmallPages(p: Program, va: bigint, length: bigint): void {
  const half = length / 2n;
  p.mmapAt(va, half);
  for (let at = 0n; at < half; at += p.page) p.touch(va + at);
  p.mmapAt(va + half, half);
}

/** Makes a window of 4 GiB with such TCE pages beside the default one: its start. */
function large(p: Program, pageShift: number): bigint {
  const result = p.create(pageShift, 4n * GiB);
  if (result !== 0) throw new Error(`CREATE: ${words(result)}`);
  return p.startAddress;
}

/** In a window with TCE pages larger than the CPU's. */
export const mapLarge: Section = {
  call: "VFIO_IOMMU_MAP_DMA (sPAPR)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["2M TCE pages: a hugepage of 2 MiB", SPAPR, o(from.mmToPhysical), "0, 0", (p) => { const s = large(p, 21); const va = p.hugepages(4n * MiB, 21); return [p.register(va, 4n * MiB), p.map(va, s, 4n * MiB)]; }, { hugepages: [21, 2] }],
    ["2M TCE pages: ordinary memory, well aligned", SPAPR, o(from.mmToPhysical), "0, EINVAL", (p) => { const s = large(p, 21); const va = p.mmapAt(p.nowhere, 4n * MiB); return [p.register(va, 4n * MiB), p.map(va, s, 2n * MiB)]; }],
    ["2M TCE pages: ordinary memory, registered behind a hugepage and taken for one", SPAPR, o(from.tceContained), "0, 0, EPERM", (p) => { const s = large(p, 21); const va = p.hugepages(2n * MiB, 21); inSmallPages(p, va + 2n * MiB, 2n * MiB); return [p.register(va, 4n * MiB), p.map(va, s, 2n * MiB), p.map(va, s, 4n * MiB)]; }, { hugepages: [21, 1] }],
    ["2M TCE pages: a registered range that ends within one", SPAPR, o(from.mmToPhysical), "0, EINVAL", (p) => { const s = large(p, 21); const va = p.hugepages(4n * MiB, 21); return [p.register(va, 3n * MiB), p.map(va, s, 2n * MiB)]; }, { hugepages: [21, 2] }],
    ["2M TCE pages: a registered range that begins within one", SPAPR, o(from.mmToPhysical), "0, EINVAL", (p) => { const s = large(p, 21); const va = p.hugepages(6n * MiB, 21); return [p.register(va + MiB, 4n * MiB), p.map(va + 2n * MiB, s, 2n * MiB)]; }, { hugepages: [21, 3] }],
    ["2M TCE pages: vaddr, size, iova in steps of 1 MiB", SPAPR, o(from.tceIoctl), "0, EINVAL, EINVAL, 1", (p) => { const s = large(p, 21); const va = p.hugepages(4n * MiB, 21); return [p.register(va, 4n * MiB), p.map(va + MiB, s, 2n * MiB), p.map(va, s, MiB), p.map(va, s + MiB, 2n * MiB)]; }, { hugepages: [21, 2] }],
    ["4K TCE pages: a hugepage", SPAPR, o(from.tceBuild), "0, 0", (p) => { const va = p.hugepages(2n * MiB, 21); return [p.register(va, 2n * MiB), p.map(va, 0n, 2n * MiB)]; }, { hugepages: [21, 1] }],
    ["64K TCE pages on a 4K kernel: ordinary memory, well aligned", with4K(SPAPR), o(from.mmToPhysical), "0, EINVAL", (p) => { const s = large(p, 16); const va = p.mmapAt(p.nowhere, 0x20000n); return [p.register(va, 0x20000n), p.map(va, s, 0x10000n)]; }],
    ["64K TCE pages on a 64K kernel: ordinary memory", with64K(SPAPR), o(from.mmToPhysical), "0, 0", (p) => { const s = large(p, 16); return [p.register(p.va, p.page), p.map(p.va, s, p.page)]; }],
    ["64K TCE pages: a hugepage of 2 MiB", SPAPR, o(from.mmToPhysical), "0, 0", (p) => { const s = large(p, 16); const va = p.hugepages(2n * MiB, 21); return [p.register(va, 2n * MiB), p.map(va + 0x10000n, s, 0x10000n)]; }, { hugepages: [21, 1] }],
    ["16M TCE pages: a hugepage of 16 MiB", PSERIES, o(from.mmToPhysical), "0, 0", (p) => { const s = large(p, 24); const va = p.hugepages(16n * MiB, 24); return [p.register(va, 16n * MiB), p.map(va, s, 16n * MiB)]; }, { hugepages: [24, 1] }],
    ["16M TCE pages: hugepages of 2 MiB", PSERIES, o(from.mmToPhysical), "0, EINVAL", (p) => { const s = large(p, 24); const va = p.hugepages(16n * MiB, 21); return [p.register(va, 16n * MiB), p.map(va, s, 16n * MiB)]; }, { hugepages: [21, 8] }],
    ["2M TCE pages: a hugepage of 16 MiB", SPAPR, o(from.mmToPhysical), "0, 0", (p) => { const s = large(p, 21); const va = p.hugepages(16n * MiB, 24); return [p.register(va, 16n * MiB), p.map(va + 2n * MiB, s, 2n * MiB)]; }, { hugepages: [24, 1] }],
  ],
};
