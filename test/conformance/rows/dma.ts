import { orCrash } from "../drift.ts";
import { o, POWERNV, PSERIES, type Section, SPAPR, with4K, with64K } from "../row.ts";
import * as from from "./sources.ts";
import { zombie, zombieBytes } from "./support.ts";

const HIGH = 2n ** 59n;

/** Seen from the device: what it writes, and what it reads. */
export const reach: Section = {
  call: "what a device reaches (sPAPR)",
  begin: "registered",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["memory that is mapped", SPAPR, o(from.tceBuild), "0, written", (p) => [p.map(p.va, 0n, p.page), p.stores(0n, p.va)], { dma: true }],
    ["memory that is registered and not mapped", SPAPR, o(from.tceBuild), "0, write stopped", (p) => [p.map(p.va, 0n, p.page), p.stores(p.page, p.va + p.page)], { dma: true }],
    ["after UNMAP", SPAPR, o(from.tceClear), "0, 0, write stopped", (p) => [p.map(p.va, 0n, p.page), p.unmap(0n, p.page), p.stores(0n, p.va)], { dma: true }],
    ["after UNMAP of a part: that part not, the rest still", SPAPR, o(from.tceClear), "0, 0, written, write stopped, written", (p) => [p.map(p.va, 0n, 3n * p.page), p.unmap(p.page, p.page), p.stores(0n, p.va), p.stores(p.page, p.va + p.page), p.stores(2n * p.page, p.va + 2n * p.page)], { dma: true }],
    ["the last bytes of a map", SPAPR, o(from.tceBuild), "0, written", (p) => [p.map(p.va, 0n, 2n * p.page), p.stores(2n * p.page - 16n, p.va + 2n * p.page - 16n)], { dma: true }],
    ["where a second MAP replaced the first: the new memory, not the old", SPAPR, o(from.tceBuild), "0, 0, write stopped, written", (p) => [p.map(p.va, 0n, p.page), p.map(p.va + p.page, 0n, p.page), p.stores(0n, p.va), p.stores(0n, p.va + p.page)], { dma: true }],
    ["where a MAP failed halfway over live maps: they are gone too, but for those it did not come to", SPAPR, o(from.tceBuild), "0, EINVAL, write stopped, write stopped, written", (p) => [p.map(p.va, 0n, 3n * p.page), p.map(p.va + 6n * p.page, 0n, 3n * p.page), p.stores(0n, p.va), p.stores(p.page, p.va + p.page), p.stores(2n * p.page, p.va + 2n * p.page)], { dma: true }],
    ["a READ-only map: it reads, and cannot write", SPAPR, o(from.tceIoctl), "0, 0, read, write stopped", (p) => [p.map(p.va, 0n, p.page, { flags: 1 }), p.map(p.va + p.page, p.page, p.page), p.loads(0n, p.va, p.page, p.va + p.page), p.stores(0n, p.va)], { dma: true }],
    ["a WRITE-only map: it writes, and cannot read", PSERIES, o(from.psBuild), "0, 0, written, read stopped", (p) => [p.map(p.va, 0n, p.page, { flags: 2 }), p.map(p.va + p.page, p.page, p.page), p.stores(0n, p.va), p.loads(0n, p.va, p.page, p.va + p.page)], { dma: true }],
    ["a WRITE-only map: it writes, and reads too: the TCE of one that may be written always says so", POWERNV, o(from.pnvBuild), "0, 0, written, read", (p) => [p.map(p.va, 0n, p.page, { flags: 2 }), p.map(p.va + p.page, p.page, p.page), p.stores(0n, p.va), p.loads(0n, p.va, p.page, p.va + p.page)], { dma: true }],
    ["after an unaligned UNMAP, which answers 1: still", SPAPR, o(from.checkIoba), "0, 1, written", (p) => [p.map(p.va, 0n, p.page), p.unmap(1n, p.page), p.stores(0n, p.va)], { dma: true }],
    ["after an unaligned MAP, which answers 1: not", SPAPR, o(from.checkIoba), "1, write stopped", (p) => [p.map(p.va, 1n, p.page), p.stores(0n, p.va)], { dma: true }],
    ["after an UNMAP with the struct of MAP: what lies below not, the target still", SPAPR, o(from.tceIoctl), "0, 0, 0, write stopped, written", (p) => { const target = 2n ** 20n; return [p.map(p.va, 0n, p.page), p.map(p.va + p.page, target, p.page), p.unmapWithMapStruct(0n, target, p.page), p.stores(0n, p.va), p.stores(target, p.va + p.page)]; }, { dma: true }],
    ["after UNREGISTER while mapped: still", SPAPR, o(from.mmPut), "written; 64 KiB stay charged", (p) => { p.unregister(p.va, 8n * p.page); return zombie(p).stores(0n, p.va); }, { dma: true }],
    ["a zombie, after UNMAP", SPAPR, o(from.mmPut), "0, write stopped; 64 KiB stay charged", (p) => { p.unregister(p.va, 8n * p.page); return [zombie(p).unmap(0n, zombieBytes), p.stores(0n, p.va)]; }, { dma: true }],
    ["after REMOVE of the window", SPAPR, o(from.tceRemove), "0, 0, write stopped", (p) => [p.map(p.va, 0n, p.page), p.remove(0n), p.stores(0n, p.va)], { dma: true }],
    ["what was mapped past the window's end: not", with4K(POWERNV), o(from.tceFind), orCrash("0, written, write stopped; 32 KiB stay charged"), (p) => [p.map(p.va, 2n ** 31n - p.page, 2n * p.page), p.stores(2n ** 31n - p.page, p.va), p.stores(2n ** 31n, p.va + p.page)], { dma: true, reboot: true }],
    ["what was mapped past the window's end: not", with64K(POWERNV), o(from.tceFind), orCrash("0, written, write stopped; 512 KiB stay charged"), (p) => [p.map(p.va, 2n ** 31n - p.page, 2n * p.page), p.stores(2n ** 31n - p.page, p.va), p.stores(2n ** 31n, p.va + p.page)], { dma: true, reboot: true }],
    ["what was mapped past the end of a window whose levels have places for more: that too, and no end of the window clears it", with4K(POWERNV), o(from.pnvTce), "0, 0, 0, written, written, 0, 0; 32 KiB stay charged", (p) => { const end = 2n ** 40n; return [p.remove(0n), p.create(12, end, 3), p.map(p.va, end - p.page, 2n * p.page), p.stores(end - p.page, p.va), p.stores(end, p.va + p.page), p.unmap(end - p.page, p.page), p.remove(0n)]; }, { dma: true }],
    ["the first page of a window at 1 << 59", SPAPR, o(from.tceBuild), "0, 0, written", (p) => [p.create(12, 2n ** 21n), p.map(p.va, HIGH, p.page), p.stores(HIGH, p.va)], { dma: true }],
    ["the last page of a window at 1 << 59", SPAPR, o(from.tceBuild), "0, 0, written", (p) => [p.create(12, 2n ** 21n), p.map(p.va, HIGH + 2n ** 21n - p.page, p.page), p.stores(HIGH + 2n ** 21n - p.page, p.va)], { dma: true }],
    ["after the container was closed, the group not: still", SPAPR, o(from.detachGroup), "0, 0, written", (p) => [p.map(p.va, 0n, p.page), p.close(p.container), p.stores(0n, p.va)], { dma: true }],
    ["one of two groups leaves: the other's device reaches nothing any more", POWERNV, o(from.tceDetach), "0, 0, written, 0, write stopped", (p) => [p.joinSecond(), p.map(p.va, 0n, p.page), p.stores(0n, p.va), p.unset(p.second), p.stores(0n, p.va)], { groups: 2, dma: true }],
    ["both devices of two groups reach the same", POWERNV, o(from.tceAttach), "0, 0, written, written", (p) => [p.joinSecond(), p.map(p.va, 0n, p.page), p.stores(0n, p.va), p.stores(0n, p.va, 1)], { groups: 2, dma: true }],
  ],
};
