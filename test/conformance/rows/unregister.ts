import { orCrash } from "../drift.ts";
import { o, POWERNV, type Section, SPAPR, s, with4K, with64K } from "../row.ts";
import * as from from "./sources.ts";
import { alike, otherBits, zombie, zombieBytes } from "./support.ts";

export const unregister: Section = {
  call: "VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["as the first call on the container", SPAPR, o(from.tceIoctl), "EPERM", (p) => p.unregister(p.va, p.page)],
    ["after GET_INFO only", SPAPR, o(from.tceIoctl), "0, EPERM", (p) => [p.info(), p.unregister(p.va, p.page)]],
    ["after a CREATE", SPAPR, o(from.tceUnregister), "0, ENOENT", (p) => [p.create(12, 2n ** 20n), p.unregister(p.va, p.page)]],
    ["after a CREATE that failed its first check", SPAPR, o(from.tceUnregister), "EINVAL, ENOENT", (p) => [p.create(12, 2n ** 20n, 1, { flags: 1 }), p.unregister(p.va, p.page)]],
    ["after a REMOVE, and one that failed", SPAPR, o(from.tceUnregister), "EINVAL, ENOENT, 0, ENOENT", (p) => [p.remove(0x12345n), p.unregister(p.va, p.page), p.remove(0n), p.unregister(p.va, p.page)]],
    ["after a REGISTER that failed", SPAPR, o(from.tceUnregister), "EINVAL, ENOENT", (p) => [p.register(p.va + 1n, p.page), p.unregister(p.va, p.page)]],
    ["a registered range", SPAPR, o(from.tceUnregister), "0, 0, VmLck +0", (p) => [p.register(p.va, 4n * p.page), p.unregister(p.va, 4n * p.page), p.charged()]],
    ["a registered range twice", SPAPR, o(from.tceUnregister), "0, 0, ENOENT", (p) => [p.register(p.va, p.page), p.unregister(p.va, p.page), p.unregister(p.va, p.page)]],
    ["its first page, its last page, a page more", SPAPR, o(from.tceUnregister), "0, ENOENT, ENOENT, ENOENT", (p) => [p.register(p.va, 4n * p.page), p.unregister(p.va, p.page), p.unregister(p.va + 3n * p.page, p.page), p.unregister(p.va, 5n * p.page)]],
    ["two ranges that adjoin, at once", SPAPR, o(from.tceUnregister), "0, 0, ENOENT", (p) => [p.register(p.va, p.page), p.register(p.va + p.page, p.page), p.unregister(p.va, 2n * p.page)]],
    ["what never was", SPAPR, o(from.tceUnregister), "0, ENOENT", (p) => [p.register(p.va, p.page), p.unregister(p.va + p.page, p.page)]],
    ["size 0, of a range's beginning and elsewhere", SPAPR, o(from.tceUnregister), "0, ENOENT, ENOENT", (p) => [p.register(p.va, p.page), p.unregister(p.va, 0n), p.unregister(0n, 0n)]],
    ["vaddr or size one byte off", SPAPR, o(from.tceUnregister), "0, EINVAL, EINVAL", (p) => [p.register(p.va, p.page), p.unregister(p.va + 1n, p.page), p.unregister(p.va, p.page + 1n)]],
    ["vaddr or size 4 KiB off, where the CPU's page is larger", with64K(SPAPR), s(from.tceUnregister), "0, EINVAL, EINVAL", (p) => [p.register(p.va, 2n * p.page), p.unregister(p.va + 4096n, p.page), p.unregister(p.va, p.page + 4096n)]],
    ["argsz 0, 16, 23", SPAPR, o(from.tceIoctl), "0, EINVAL", (p) => [p.register(p.va, p.page), alike([0, 16, 23].map((argsz) => p.unregister(p.va, p.page, { argsz })))]],
    ["any flag", SPAPR, o(from.tceIoctl), "0, EINVAL", (p) => [p.register(p.va, p.page), alike(otherBits(0).map((flags) => p.unregister(p.va, p.page, { flags })))]],
    ["a longer struct", SPAPR, o(from.tceIoctl), "0, 0", (p) => [p.register(p.va, p.page), p.unregister(p.va, p.page, { argsz: 200 })]],
    ["after munmap", SPAPR, o(from.tceUnregister), "0, 0, 0, VmLck +0", (p) => [p.register(p.va, p.page), p.munmap(p.va, p.page), p.unregister(p.va, p.page), p.charged()]],
    ["after munmap while it was mapped, and UNMAP", SPAPR, o(from.tceUnregister), "0, 0, 0, 0, 0", (p) => [p.register(p.va, p.page), p.map(p.va, 0n, p.page), p.munmap(p.va, p.page), p.unmap(0n, p.page), p.unregister(p.va, p.page)]],
    ["after REMOVE of the window that mapped it", SPAPR, o(from.tceUnregister), "0, 0, 0, 0, VmLck +0", (p) => [p.register(p.va, p.page), p.map(p.va, 0n, p.page), p.remove(0n), p.unregister(p.va, p.page), p.charged()]],
    ["after its pages were mapped over by another range", SPAPR, o(from.tceUnregister), "0, 0, 0, 0, 0", (p) => [p.register(p.va, p.page), p.register(p.va + p.page, p.page), p.map(p.va, 0n, p.page), p.map(p.va + p.page, 0n, p.page), p.unregister(p.va, p.page)]],
    ["in the container that did not register it", SPAPR, o(from.tceUnregister), "0, 0, ENOENT", (p) => { const other = p.another(); return [p.register(p.va, p.page), other.register(p.va + p.page, p.page), other.unregister(p.va, p.page)]; }, { groups: 2 }],
    ["in one of two containers that registered it: charged until the other does", SPAPR, o(from.mmPut), "0, VmLck +1 page, 0, VmLck -1 page", (p) => { const other = p.another(); p.register(p.va, p.page); other.register(p.va, p.page); return [p.unregister(p.va, p.page), p.chargedPages(), other.unregister(p.va, p.page), p.chargedPages()]; }, { groups: 2 }],
    ["in one of two containers, while it is mapped there", SPAPR, o(from.mmPut), "0, 0, 0", (p) => { const other = p.another(); p.register(p.va, p.page); other.register(p.va, p.page); return [p.map(p.va, 0n, p.page), p.unregister(p.va, p.page), p.unmap(0n, p.page) || other.unregister(p.va, p.page)]; }, { groups: 2 }],
    ["while mapped: 0, and a zombie that stays charged", SPAPR, o(from.mmPut), "VmLck +0; 64 KiB stay charged", (p) => zombie(p).charged()],
    ["a zombie", SPAPR, o(from.tceUnregister), "ENOENT; 64 KiB stay charged", (p) => zombie(p).unregister(p.va, zombieBytes)],
    ["a zombie, after UNMAP", SPAPR, o(from.tceUnregister), "0, ENOENT; 64 KiB stay charged", (p) => [zombie(p).unmap(0n, zombieBytes), p.unregister(p.va, zombieBytes)]],
    ["a zombie that was registered again and unmapped: a zombie once more", SPAPR, o(from.mmPut), "0, 0, 0, ENOENT; 64 KiB stay charged", (p) => [zombie(p).register(p.va, zombieBytes), p.unmap(0n, zombieBytes), p.unregister(p.va, zombieBytes), p.unregister(p.va, zombieBytes)]],
    ["a zombie, registered again in a container made later", SPAPR, o(from.mmPut), "0, 0, ENOENT; 64 KiB stay charged", (p) => { zombie(p); p.close(p.container); p.close(p.group); p.begin("container"); return [p.register(p.va, zombieBytes), p.unregister(p.va, zombieBytes), p.unregister(p.va, zombieBytes)]; }],
    ["after a MAP past the window's end and REMOVE: a zombie, for nothing clears what lies behind", with4K(POWERNV), o(from.mmPut), orCrash("0, 0, 0, 0, ENOENT; 8 KiB stay charged"), (p) => [p.register(p.va, 2n * p.page), p.map(p.va, 2n ** 31n - p.page, 2n * p.page), p.remove(0n), p.unregister(p.va, 2n * p.page), p.unregister(p.va, 2n * p.page)], { reboot: true }],
    ["leaves MAP and UNMAP allowed", SPAPR, o(from.tceIoctl), "0, 0, EINVAL, 0", (p) => [p.register(p.va, p.page), p.unregister(p.va, p.page), p.map(p.va, 0n, p.page), p.unmap(0n, p.page)]],
  ],
};
