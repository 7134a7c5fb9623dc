import { Protection } from "../../../src/syscalls.ts";
import { o, type Section, SPAPR, with64K } from "../row.ts";
import * as from from "./sources.ts";
import { alike, otherBits, zombie, zombieBytes } from "./support.ts";

const top = 2n ** 64n;

export const register: Section = {
  call: "VFIO_IOMMU_SPAPR_REGISTER_MEMORY",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["16 pages that are there", SPAPR, o(from.mmAlloc), "0, VmLck +16 pages", (p) => [p.register(p.va, 16n * p.page), p.chargedPages()]],
    ["a longer struct", SPAPR, o(from.tceIoctl), "0", (p) => p.register(p.va, p.page, { argsz: 200 })],
    ["argsz 0, 16, 23", SPAPR, o(from.tceIoctl), "EINVAL", (p) => alike([0, 16, 23].map((argsz) => p.register(p.va, p.page, { argsz })))],
    ["any flag", SPAPR, o(from.tceIoctl), "EINVAL", (p) => alike(otherBits(0).map((flags) => p.register(p.va, p.page, { flags })))],
    ["vaddr one byte, half a page off", SPAPR, o(from.tceRegister), "EINVAL, EINVAL", (p) => [p.register(p.va + 1n, p.page), p.register(p.va + p.page / 2n, p.page)]],
    ["a size one byte, half a page too long", SPAPR, o(from.tceRegister), "EINVAL, EINVAL", (p) => [p.register(p.va, p.page + 1n), p.register(p.va, p.page + p.page / 2n)]],
    ["size 1", SPAPR, o(from.tceRegister), "EINVAL", (p) => p.register(p.va, 1n)],
    ["size 2^64 - 1", SPAPR, o(from.tceRegister), "EINVAL", (p) => p.register(p.va, top - 1n)],
    ["vaddr or size in steps of 4 KiB", with64K(SPAPR), o(from.tceRegister), "EINVAL, EINVAL", (p) => [p.register(p.va + 4096n, p.page), p.register(p.va, 4096n)]],
    ["an end above 2^64", SPAPR, o(from.tceRegister), "EINVAL", (p) => p.register(top - p.page, 2n * p.page)],
    ["an end of exactly 2^64", SPAPR, o(from.tceRegister), "EINVAL", (p) => p.register(top - p.page, p.page)],
    ["as long as all of the address space but a page", SPAPR, o(from.tceRegister), "EINVAL", (p) => p.register(p.va, top - p.page)],
    ["size 0", SPAPR, o(from.mmAlloc), "ENOMEM, VmLck +0", (p) => [p.register(p.va, 0n), p.charged()]],
    ["size 0 at 0, and at the last page there is", SPAPR, o(from.mmAlloc), "ENOMEM, ENOMEM", (p) => [p.register(0n, 0n), p.register(top - p.page, 0n)]],
    ["address 0", SPAPR, o(from.mmAlloc), "EFAULT", (p) => p.register(0n, p.page)],
    ["what is not mmapped", SPAPR, o(from.mmAlloc), "EFAULT, VmLck +0", (p) => [p.register(p.nowhere, p.page), p.charged()]],
    ["what was munmapped", SPAPR, o(from.mmAlloc), "0, EFAULT", (p) => [p.munmap(p.va, p.page), p.register(p.va, p.page)]],
    ["PROT_NONE", SPAPR, o(from.mmAlloc), "EFAULT", (p) => p.register(p.mmapAt(p.nowhere, p.page, Protection.NONE), p.page)],
    ["PROT_READ: it pins for writing", SPAPR, o(from.mmAlloc), "EFAULT", (p) => p.register(p.mmapAt(p.nowhere, p.page, Protection.READ), p.page)],
    ["above every process", SPAPR, o(from.mmAlloc), "EFAULT", (p) => p.register(2n ** 62n, p.page)],
    ["2 pages, and a third that is missing: how many were pinned", SPAPR, o(from.mmAlloc), "2, VmLck +0", (p) => [p.register(p.va + 14n * p.page, 3n * p.page), p.charged()]],
    ["16 pages, and one more that is PROT_READ", SPAPR, o(from.mmAlloc), "16, VmLck +0", (p) => { p.mmapAt(p.va + 16n * p.page, p.page, Protection.READ); return [p.register(p.va, 17n * p.page), p.charged()]; }],
    ["a page that is missing, and then one that is there", SPAPR, o(from.mmAlloc), "0, EFAULT", (p) => [p.munmap(p.va, p.page), p.register(p.va, 2n * p.page)]],
    ["64 GiB of which only 16 pages are there: how many were pinned", SPAPR, o(from.mmAlloc), "16, VmLck +0", (p) => [p.register(p.va, 2n ** 36n), p.charged()]],
    ["2^50, 2^63 bytes of which only 16 pages are there: no memory for the list of all of them", SPAPR, o(from.mmAlloc), "ENOMEM, ENOMEM, VmLck +0", (p) => [p.register(p.va, 2n ** 50n), p.register(p.va, 2n ** 63n), p.charged()]],
    ["2^62 bytes that are not mmapped: ENOMEM comes first", SPAPR, o(from.mmAlloc), "ENOMEM", (p) => p.register(p.nowhere, 2n ** 62n)],
    ["after such a failure: nothing is registered", SPAPR, o(from.mmAlloc), "2, ENOENT, 0", (p) => [p.register(p.va + 14n * p.page, 3n * p.page), p.unregister(p.va + 14n * p.page, 3n * p.page), p.register(p.va + 14n * p.page, 2n * p.page)]],
    ["a range over two mmaps that adjoin", SPAPR, o(from.mmAlloc), "0, VmLck +17 pages", (p) => { p.mmapAt(p.va + 16n * p.page, p.page); return [p.register(p.va, 17n * p.page), p.chargedPages()]; }],
    ["the same range again", SPAPR, o(from.tceRegister), "0, EBUSY, VmLck +1 page", (p) => [p.register(p.va, p.page), p.register(p.va, p.page), p.chargedPages()]],
    ["the same range after munmap", SPAPR, o(from.tceRegister), "0, 0, EBUSY", (p) => [p.register(p.va, p.page), p.munmap(p.va, p.page), p.register(p.va, p.page)]],
    ["the same range after munmap and a new mmap there", SPAPR, o(from.tceRegister), "0, 0, EBUSY", (p) => { const r = p.register(p.va, p.page); const m = p.munmap(p.va, p.page); p.mmapAt(p.va, p.page); return [r, m, p.register(p.va, p.page)]; }],
    ["the same range after UNREGISTER", SPAPR, o(from.tceRegister), "0, 0, 0, VmLck +1 page", (p) => [p.register(p.va, p.page), p.unregister(p.va, p.page), p.register(p.va, p.page), p.chargedPages()]],
    ["one that overlaps the end of a registered range", SPAPR, o(from.mmAlloc), "0, EINVAL, VmLck +4 pages", (p) => [p.register(p.va + 4n * p.page, 4n * p.page), p.register(p.va + 7n * p.page, 2n * p.page), p.chargedPages()]],
    ["one that overlaps its beginning", SPAPR, o(from.mmAlloc), "0, EINVAL", (p) => [p.register(p.va + 4n * p.page, 4n * p.page), p.register(p.va + 3n * p.page, 2n * p.page)]],
    ["one inside it: at its beginning, its middle, its end", SPAPR, o(from.mmAlloc), "0, EINVAL, EINVAL, EINVAL", (p) => [p.register(p.va + 4n * p.page, 4n * p.page), ...[4n, 5n, 7n].map((at) => p.register(p.va + at * p.page, p.page))]],
    ["one around it, with the same beginning, with the same end", SPAPR, o(from.mmAlloc), "0, EINVAL, EINVAL, EINVAL", (p) => [p.register(p.va + 4n * p.page, 4n * p.page), p.register(p.va + 3n * p.page, 6n * p.page), p.register(p.va + 4n * p.page, 5n * p.page), p.register(p.va + 3n * p.page, 5n * p.page)]],
    ["one just before and one just behind it", SPAPR, o(from.mmAlloc), "0, 0, 0, VmLck +6 pages", (p) => [p.register(p.va + 4n * p.page, 4n * p.page), p.register(p.va + 3n * p.page, p.page), p.register(p.va + 8n * p.page, p.page), p.chargedPages()]],
    ["one that overlaps, and whose end is missing: pinning comes first", SPAPR, o(from.mmAlloc), "0, 16", (p) => [p.register(p.va, p.page), p.register(p.va, 17n * p.page)]],
    ["the same range in a second container: charged once", SPAPR, o(from.tceRegister), "0, 0, VmLck +2 pages", (p) => { const other = p.another(); return [p.register(p.va, 2n * p.page), other.register(p.va, 2n * p.page), p.chargedPages()]; }, { groups: 2 }],
    ["a part of it in a second container", SPAPR, o(from.mmAlloc), "0, EINVAL", (p) => { const other = p.another(); return [p.register(p.va, 2n * p.page), other.register(p.va, p.page)]; }, { groups: 2 }],
    ["2 MiB of hugepages", SPAPR, o(from.mmAlloc), "0, VmLck +2 MiB", (p) => [p.register(p.hugepages(2n ** 21n, 21), 2n ** 21n), p.charged()], { hugepages: [21, 1] }],
    ["a part of a hugepage", SPAPR, o(from.mmAlloc), "0, VmLck +1 page", (p) => [p.register(p.hugepages(2n ** 21n, 21) + p.page, p.page), p.chargedPages()], { hugepages: [21, 1] }],
    ["a registration makes no window", SPAPR, o(from.tceRegister), "0, VmLck +1 page", (p) => [p.register(p.va, p.page), p.chargedPages()]],
    ["exactly the range of a zombie: no new charge", SPAPR, o(from.tceRegister), "0, VmLck +0, EBUSY; 64 KiB stay charged", (p) => [zombie(p).register(p.va, zombieBytes), p.charged(), p.register(p.va, zombieBytes)]],
    ["what overlaps a zombie", SPAPR, o(from.mmAlloc), "EINVAL, EINVAL; 64 KiB stay charged", (p) => { zombie(p); p.mmapAt(p.va + 16n * p.page, p.page); return [p.register(p.va, zombieBytes + p.page), p.register(p.va, 4n * p.page > zombieBytes ? 2n * p.page : 4n * p.page)]; }],
  ],
};
