import { MapFlag, Protection } from "../../../src/syscalls.ts";
import { before } from "../drift.ts";
import { o, type Section, s, TYPE1 } from "../row.ts";
import { OVERFLOW } from "./changes.ts";
import * as from from "./sources.ts";
import { alike, otherBits } from "./support.ts";

const top = 2n ** 64n;
const HOLE = 0xfee0_0000n;
const LIMIT = 2n ** 48n;

export const type1Map: Section = {
  call: "VFIO_IOMMU_MAP_DMA (type1)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["a page, as the first call", TYPE1, o(from.type1Map), "0, VmLck +1 page", (p) => [p.map(p.va, 0n, p.page), p.chargedPages()]],
    ["16 pages", TYPE1, o(from.type1Map), "0, VmLck +16 pages", (p) => [p.map(p.va, 0n, 16n * p.page), p.chargedPages()]],
    ["a longer struct", TYPE1, o(from.type1Ioctl), "0", (p) => p.map(p.va, 0n, p.page, { argsz: 200 })],
    ["argsz 0, 24, 31", TYPE1, o(from.type1Ioctl), "EINVAL", (p) => alike([0, 24, 31].map((argsz) => p.map(p.va, 0n, p.page, { argsz })))],
    ["READ only, WRITE only", TYPE1, o(from.type1Map), "0, 0", (p) => [p.map(p.va, 0n, p.page, { flags: 1 }), p.map(p.va, p.page, p.page, { flags: 2 })]],
    ["flags 0", TYPE1, o(from.type1Map), "EINVAL", (p) => p.map(p.va, 0n, p.page, { flags: 0 })],
    ["VADDR (4) beside READ or WRITE", TYPE1, o(from.type1Map), "EINVAL", (p) => alike([5, 6, 7].map((flags) => p.map(p.va, 0n, p.page, { flags })))],
    ["any unknown flag", TYPE1, o(from.type1Ioctl), "EINVAL", (p) => alike(otherBits(7).map((bit) => p.map(p.va, 0n, p.page, { flags: (bit | 3) >>> 0 })))],
    ["size 0", TYPE1, o(from.type1Map), "EINVAL", (p) => p.map(p.va, 0n, 0n)],
    ["size 1, 2^64 - 1", TYPE1, o(from.type1Map), before(OVERFLOW, "EINVAL, EINVAL", "EINVAL, EOVERFLOW"), (p) => [p.map(p.va, 0n, 1n), p.map(p.va, 0n, top - 1n)]],
    ["vaddr, iova, size one byte off", TYPE1, o(from.type1Map), "EINVAL, EINVAL, EINVAL", (p) => [p.map(p.va + 1n, 0n, p.page), p.map(p.va, 1n, p.page), p.map(p.va, 0n, p.page + 1n)]],
    ["iova + size above 2^64", TYPE1, o(from.type1Map), before(OVERFLOW, "EINVAL", "EOVERFLOW"), (p) => p.map(p.va, top - p.page, 2n * p.page)],
    ["vaddr + size above 2^64", TYPE1, o(from.type1Map), before(OVERFLOW, "EINVAL", "EOVERFLOW"), (p) => p.map(top - p.page, 0n, 2n * p.page)],
    ["iova + size above 2^64, with flags 0, and one byte off", TYPE1, o(from.type1Map), before(OVERFLOW, "EINVAL, EINVAL", "EOVERFLOW, EOVERFLOW"), (p) => [p.map(p.va, top - p.page, 2n * p.page, { flags: 0 }), p.map(p.va, top - 1n, 2n)]],
    ["iova + size above 2^64, with an unknown flag, a short struct", TYPE1, o(from.type1Ioctl), "EINVAL, EINVAL", (p) => [p.map(p.va, top - p.page, 2n * p.page, { flags: 11 }), p.map(p.va, top - p.page, 2n * p.page, { argsz: 31 })]],
    ["the last iova there is", TYPE1, o(from.type1Ranges), "EINVAL", (p) => p.map(p.va, top - p.page, p.page)],
    ["the last iova of the IOMMU", TYPE1, o(from.type1Ranges), "0", (p) => p.map(p.va, LIMIT - p.page, p.page)],
    ["the first iova behind it", TYPE1, o(from.type1Ranges), "EINVAL", (p) => p.map(p.va, LIMIT, p.page)],
    ["across its end", TYPE1, o(from.type1Ranges), "EINVAL, VmLck +0", (p) => [p.map(p.va, LIMIT - p.page, 2n * p.page), p.charged()]],
    ["up to the hole, and from its end on", TYPE1, o(from.type1Ranges), "0, 0", (p) => [p.map(p.va, HOLE - p.page, p.page), p.map(p.va, HOLE + 0x10_0000n, p.page)]],
    ["in the hole: its first page, its last", TYPE1, o(from.type1Ranges), "EINVAL, EINVAL", (p) => [p.map(p.va, HOLE, p.page), p.map(p.va, HOLE + 0x10_0000n - p.page, p.page)]],
    ["across the hole's beginning, across its end", TYPE1, o(from.type1Ranges), "EINVAL, EINVAL", (p) => [p.map(p.va, HOLE - p.page, 2n * p.page), p.map(p.va, HOLE + 0x10_0000n - p.page, 2n * p.page)]],
    ["memory that is not mmapped", TYPE1, o(from.type1Pin), "EFAULT, VmLck +0", (p) => [p.map(p.nowhere, 0n, p.page), p.charged()]],
    ["memory of which the last page is not there: nothing is left", TYPE1, o(from.type1Pin), "EFAULT, VmLck +0, 0", (p) => [p.map(p.va, 0n, 17n * p.page), p.charged(), p.map(p.va, 0n, p.page)]],
    ["PROT_NONE", TYPE1, o(from.type1Pin), "EFAULT", (p) => p.map(p.mmapAt(p.nowhere, p.page, Protection.NONE), 0n, p.page)],
    ["PROT_READ: READ only, and READ and WRITE", TYPE1, o(from.type1Pin), "0, EFAULT", (p) => { const va = p.mmapAt(p.nowhere, p.page, Protection.READ); return [p.map(va, 0n, p.page, { flags: 1 }), p.map(va, p.page, p.page)]; }],
    ["vaddr 0, above every process", TYPE1, o(from.type1Pin), "EFAULT, EFAULT", (p) => [p.map(0n, 0n, p.page), p.map(2n ** 62n, 0n, p.page)]],
    ["the same again", TYPE1, o(from.type1Map), "0, EEXIST, VmLck +1 page", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, 0n, p.page), p.chargedPages()]],
    ["other memory at the same IOVA", TYPE1, o(from.type1Map), "0, EEXIST", (p) => [p.map(p.va, 0n, p.page), p.map(p.va + p.page, 0n, p.page)]],
    ["inside, around, over the beginning, over the end of a map", TYPE1, o(from.type1Map), "0, EEXIST, EEXIST, EEXIST, EEXIST", (p) => [p.map(p.va, 4n * p.page, 4n * p.page), p.map(p.va, 5n * p.page, p.page), p.map(p.va, 3n * p.page, 6n * p.page), p.map(p.va, 3n * p.page, 2n * p.page), p.map(p.va, 7n * p.page, 2n * p.page)]],
    ["just before and just behind a map", TYPE1, o(from.type1Map), "0, 0, 0", (p) => [p.map(p.va, 4n * p.page, 4n * p.page), p.map(p.va, 3n * p.page, p.page), p.map(p.va, 8n * p.page, p.page)]],
    ["over a map, of memory that is not there: EEXIST comes first", TYPE1, o(from.type1Map), "0, EEXIST", (p) => [p.map(p.va, 0n, p.page), p.map(p.nowhere, 0n, p.page)]],
    ["over a map, and into the hole: EEXIST comes first", TYPE1, o(from.type1Map), "0, EEXIST", (p) => [p.map(p.va, HOLE - p.page, p.page), p.map(p.va, HOLE - p.page, 2n * p.page)]],
    ["the same memory at two IOVAs: charged twice", TYPE1, o(from.type1Pin), "0, 0, VmLck +2 pages", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, p.page, p.page), p.chargedPages()]],
    ["the same memory in two containers: charged twice", TYPE1, o(from.type1Pin), "0, 0, VmLck +2 pages", (p) => { const other = p.another(); return [p.map(p.va, 0n, p.page), other.map(p.va, 0n, p.page), p.chargedPages()]; }, { groups: 2 }],
    ["where something was unmapped", TYPE1, o(from.type1Map), "0, 0, 0", (p) => [p.map(p.va, 0n, p.page), p.unmap(0n, p.page), p.map(p.va + p.page, 0n, p.page)]],
    ["half a map's memory was munmapped since: the map stays, and stays charged", TYPE1, o(from.type1Pin), "0, 0, EEXIST, VmLck +2 pages", (p) => [p.map(p.va, 0n, 2n * p.page), p.munmap(p.va, p.page), p.map(p.va + p.page, 0n, p.page), p.chargedPages()]],
    ["a device's memory, mmapped (a BAR): nothing is charged", TYPE1, s(from.type1Pin), "0, VmLck +0, 0", (p) => [p.map(p.deviceMemory, 0n, p.page), p.charged(), p.unmap(0n, p.page)], { deviceMemory: true }],
    ["a hugepage of 2 MiB, and a page within it", TYPE1, o(from.type1Pin), "0, 0, VmLck +2 MiB + 4 KiB", (p) => { const va = p.hugepages(2n ** 21n, 21); return [p.map(va, 0n, 2n ** 21n), p.map(va + p.page, 2n ** 21n, p.page), p.charged()]; }, { hugepages: [21, 1] }],
    ["memory that was never touched", TYPE1, o(from.type1Pin), "0, VmLck +512 pages", (p) => { p.kernel.mmap(p.nowhere, 512n * p.page, 3, MapFlag.FIXED_NOREPLACE | MapFlag.NORESERVE, 0); const got = [p.map(p.nowhere, 2n ** 30n, 512n * p.page), p.chargedPages()]; p.kernel.munmap(p.nowhere, 512n * p.page); return got; }],
    ["the 65536th map of a container", TYPE1, o(from.type1Map), "0, ENOSPC", (p) => { let last = 0; for (let index = 0n; index < 65535n && last === 0; index++) last = p.map(p.va, index * p.page, p.page); return [last, p.map(p.va, 65535n * p.page, p.page)]; }],
    ["that, where something is mapped already: EEXIST comes first", TYPE1, o(from.type1Map), "0, EEXIST", (p) => { let last = 0; for (let index = 0n; index < 65535n && last === 0; index++) last = p.map(p.va, index * p.page, p.page); return [last, p.map(p.va, 0n, p.page)]; }],
    ["that, into the hole: ENOSPC comes first", TYPE1, o(from.type1Map), "0, ENOSPC", (p) => { let last = 0; for (let index = 0n; index < 65535n && last === 0; index++) last = p.map(p.va, index * p.page, p.page); return [last, p.map(p.va, HOLE, p.page)]; }],
  ],
};
