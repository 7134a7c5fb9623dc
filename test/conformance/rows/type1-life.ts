import { before } from "../drift.ts";
import { limit, limitPages, o, type Section, TYPE1 } from "../row.ts";
import * as from from "./sources.ts";

/** Groups, closing, limits and processes. */
export const type1Life: Section = {
  call: "close, groups, RLIMIT_MEMLOCK, processes (type1)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["the container closed: all stays, for the group is in it", TYPE1, o(from.detachGroup), "0, 0, VmLck +1 page, 0, VmLck -1 page", (p) => [p.map(p.va, 0n, p.page), p.close(p.container), p.chargedPages(), p.close(p.group), p.chargedPages()]],
    ["the group closed: maps and charges go, and the container has no IOMMU", TYPE1, o(from.type1Detach), "0, 0, VmLck +0, EINVAL", (p) => [p.map(p.va, 0n, p.page), p.close(p.group), p.charged(), p.unmap(0n, p.page)]],
    ["closed with live maps, opened again: nothing is mapped", TYPE1, o(from.type1Detach), "0, 0, 0", (p) => { const first = p.map(p.va, 0n, p.page); p.close(p.container); p.close(p.group); p.begin("container"); return [first, p.map(p.va, 0n, p.page), p.unmap(0n, p.page)]; }],
    ["a second group joins, and reaches what is mapped; it leaves, and the maps stay", TYPE1, o(from.type1Attach), "0, 0, EEXIST, 0, EEXIST", (p) => [p.map(p.va, 0n, p.page), p.joinSecond(), p.map(p.va, 0n, p.page), p.unset(p.second), p.map(p.va, 0n, p.page)], { groups: 2 }],
    ["the first of two groups leaves: the maps stay", TYPE1, o(from.type1Detach), "0, 0, 0, EEXIST", (p) => [p.map(p.va, 0n, p.page), p.joinSecond(), p.unset(), p.map(p.va, 0n, p.page)], { groups: 2 }],
    ["two containers may map the same IOVA", TYPE1, o(from.type1Map), "0, 0", (p) => { const other = p.another(); return [p.map(p.va, 0n, p.page), other.map(p.va, 0n, p.page)]; }, { groups: 2 }],
    ["MAP up to exactly the limit, and one page more", TYPE1, o(from.type1Pin), "0, ENOMEM, VmLck +4 pages", (p) => [p.map(p.va, 0n, 4n * p.page), p.map(p.va, 4n * p.page, p.page), p.chargedPages()], limitPages(4n)],
    ["MAP over the limit: nothing is left", TYPE1, o(from.type1Pin), "ENOMEM, VmLck +0, 0", (p) => [p.map(p.va, 0n, 5n * p.page), p.charged(), p.map(p.va, 0n, p.page)], limitPages(4n)],
    ["the same page five times: each counts", TYPE1, o(from.type1Pin), "0, 0, 0, 0, ENOMEM", (p) => [0n, 1n, 2n, 3n, 4n].map((at) => p.map(p.va, at * p.page, p.page)), limitPages(4n)],
    ["two containers share one limit", TYPE1, o(from.type1Pin), "0, 0, ENOMEM", (p) => { const other = p.another(); return [p.map(p.va, 0n, 3n * p.page), other.map(p.va, 0n, p.page), other.map(p.va, p.page, p.page)]; }, { groups: 2, ...limitPages(4n) }],
    ["UNMAP makes room", TYPE1, o(from.type1Unmap), "0, 0, 0", (p) => [p.map(p.va, 0n, 4n * p.page), p.unmap(0n, 4n * p.page), p.map(p.va, 0n, 4n * p.page)], limitPages(4n)],
    ["memory that is not there, over the limit", TYPE1, o(from.type1Pin), "EFAULT", (p) => p.map(p.nowhere, 0n, 8n * p.page), limitPages(4n)],
    ["the limit is reached before the page that is not there: ENOMEM", TYPE1, o(from.type1Pin), "ENOMEM", (p) => p.map(p.va, 0n, 17n * p.page), limitPages(4n)],
    ["what is mapped already, over the limit: EEXIST comes first", TYPE1, o(from.type1Map), "0, EEXIST", (p) => [p.map(p.va, 0n, 4n * p.page), p.map(p.va, 0n, p.page)], limitPages(4n)],
    ["a limit of 0", TYPE1, o(from.type1Pin), "ENOMEM", (p) => p.map(p.va, 0n, p.page), limit(0n)],
    ["MAP here; then GET_INFO there: a container belongs to nobody", TYPE1, o(from.type1Ioctl), "0, 0", (p) => [p.map(p.va, 0n, p.page), p.elsewhere("GET_INFO")], { process: true }],
    ["MAP there, of memory there: EEXIST here, not charged here, and it outlives that process", TYPE1, o(from.type1Map), "0, EEXIST, VmLck +0", (p) => [p.elsewhere("MAP"), p.map(p.va, 0n, p.page), p.charged()], { process: true }],
    ["MAP there, UNMAP here", TYPE1, o(from.type1Unmap), "0, 0, 0x1000, VmLck +0", (p) => [p.elsewhere("MAP"), p.unmap(0n, p.page), p.u64(16), p.charged()], { process: true }],
    ["MAP here, UNMAP there: the charge goes here", TYPE1, o(from.type1Unmap), "0, 0, VmLck +0", (p) => [p.map(p.va, 0n, p.page), p.elsewhere("UNMAP"), p.charged()], { process: true }],
    ["UNSET_CONTAINER there", TYPE1, o(from.unsetContainer), "0, 0, EINVAL, VmLck +0", (p) => [p.map(p.va, 0n, p.page), p.elsewhere("UNSET_CONTAINER"), p.unmap(0n, p.page), p.charged()], { process: true }],
  ],
};

export const type1Reach: Section = {
  call: "what a device reaches (type1)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["memory that is mapped", TYPE1, o(from.type1Map), "0, written", (p) => [p.map(p.va, 0n, p.page), p.stores(0n, p.va)], { dma: true }],
    ["what is not mapped", TYPE1, o(from.type1Map), "0, write stopped", (p) => [p.map(p.va, 0n, p.page), p.stores(p.page, p.va + p.page)], { dma: true }],
    ["after UNMAP", TYPE1, o(from.type1Unmap), "0, 0, write stopped", (p) => [p.map(p.va, 0n, p.page), p.unmap(0n, p.page), p.stores(0n, p.va)], { dma: true }],
    ["a READ-only map: it reads, and cannot write", TYPE1, o(from.type1Map), "0, 0, read, write stopped", (p) => { p.touch(p.va); return [p.map(p.va, 0n, p.page, { flags: 1 }), p.map(p.va + p.page, p.page, p.page), p.loads(0n, p.va, p.page, p.va + p.page), p.stores(0n, p.va)]; }, { dma: true }],
    ["a READ-only map of memory that was written to only afterwards: not the page of zeros from before, but for old kernels", TYPE1, o("mm/gup.c: gup_must_unshare"), before("6.2", "0, 0, read stopped", "0, 0, read"), (p) => [p.map(p.va, 0n, p.page, { flags: 1 }), p.map(p.va + p.page, p.page, p.page), p.loads(0n, p.va, p.page, p.va + p.page)], { dma: true }],
    ["a WRITE-only map: it writes; VT-d once let it read as well", TYPE1, o("drivers/iommu/intel/iommu.c: __domain_mapping"), before("6.16", "0, 0, written, read", "0, 0, written, read stopped"), (p) => [p.map(p.va, 0n, p.page, { flags: 2 }), p.map(p.va + p.page, p.page, p.page), p.stores(0n, p.va), p.loads(0n, p.va, p.page, p.va + p.page)], { dma: true }],
    ["after a MAP that answered EEXIST: what was there before", TYPE1, o(from.type1Map), "0, EEXIST, written, write stopped", (p) => [p.map(p.va, 0n, p.page), p.map(p.va + p.page, 0n, p.page), p.stores(0n, p.va), p.stores(0n, p.va + p.page)], { dma: true }],
    ["after a MAP that answered EFAULT halfway: nothing of it", TYPE1, o(from.type1Pin), "EFAULT, write stopped", (p) => [p.map(p.va, 0n, 17n * p.page), p.stores(0n, p.va)], { dma: true }],
    ["after an UNMAP with the struct of MAP: what lies below not, the target still", TYPE1, o(from.type1Unmap), "0, 0, 0, write stopped, written", (p) => [p.map(p.va, 0n, p.page), p.map(p.va + p.page, 2n ** 20n, p.page), p.unmapWithMapStruct(0n, 2n ** 20n, p.page), p.stores(0n, p.va), p.stores(2n ** 20n, p.va + p.page)], { dma: true }],
    ["a second group that joined: its device reaches what was mapped before", TYPE1, o(from.type1Attach), "0, 0, written", (p) => [p.map(p.va, 0n, p.page), p.joinSecond(), p.stores(0n, p.va, 1)], { groups: 2, dma: true }],
    ["a second group that has left: its device stops, the first goes on", TYPE1, o(from.type1Detach), "0, 0, 0, written", (p) => [p.joinSecond(), p.map(p.va, 0n, p.page), p.unset(p.second), p.stores(0n, p.va)], { groups: 2, dma: true }],
    ["the container closed, the group not: still", TYPE1, o(from.detachGroup), "0, 0, written", (p) => [p.map(p.va, 0n, p.page), p.close(p.container), p.stores(0n, p.va)], { dma: true }],
  ],
};
