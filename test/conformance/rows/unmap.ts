import { before, orCrash } from "../drift.ts";
import { o, POWERNV, PSERIES, type Section, SPAPR } from "../row.ts";
import { WHOLE_UNMAP } from "./changes.ts";
import * as from from "./sources.ts";
import { alike, otherBits } from "./support.ts";

const GiB = 2n ** 30n;
const top = 2n ** 64n;

/** A multiple of every CPU page. */
const K64 = 0x1_0000n;

export const unmapFirst: Section = {
  call: "VFIO_IOMMU_UNMAP_DMA (sPAPR)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["as the first call on the container", SPAPR, o(from.tceIoctl), "EPERM, VmLck +0", (p) => [p.unmap(0n, p.page), p.charged()]],
    ["after a CREATE, nothing registered", SPAPR, o(from.tceIoctl), "0, EPERM", (p) => [p.create(12, 2n ** 20n), p.unmap(0n, p.page)]],
    ["that, with argsz 0 and flags", SPAPR, o(from.tceIoctl), "EPERM", (p) => p.unmap(0n, p.page, { argsz: 0, flags: 1 })],
    ["with no window: the default one removed", SPAPR, o(from.tceFind), "0, 0, ENXIO", (p) => [p.remove(0n), p.register(p.va, p.page), p.unmap(0n, p.page)]],
    ["as the first call that needs a window: it is made and charged", POWERNV, o(from.tceDefault), "0, VmLck +1 page, 0, VmLck +8 MiB", (p) => [p.register(p.va, p.page), p.chargedPages(), p.unmap(0n, p.page), p.charged()]],
    ["as the first call that needs a window: it is made and charged", PSERIES, o(from.tceDefault), "0, VmLck +1 page, 0, VmLck +2 MiB", (p) => [p.register(p.va, p.page), p.chargedPages(), p.unmap(0n, p.page), p.charged()]],
    ["iova one byte off: nothing is unmapped, so UNREGISTER leaves a zombie", SPAPR, o(from.checkIoba), "0, 0, 1, 0; 64 KiB stay charged", (p) => [p.register(p.va, K64), p.map(p.va, 0n, K64), p.unmap(1n, K64), p.unregister(p.va, K64)]],
    ["with the struct of MAP: it reads IOVA 0 and the IOVA as size, clears what is below the target, and keeps the target", SPAPR, o(from.tceIoctl), "0, 0, 0, 0, 0; 64 KiB stay charged", (p) => { const target = p.mmapAt(p.nowhere, K64); p.register(p.va, K64); p.register(target, K64); return [p.map(p.va, K64, K64), p.map(target, 2n ** 20n, K64), p.unmapWithMapStruct(0n, 2n ** 20n, K64), p.unregister(p.va, K64), p.unregister(target, K64)]; }],
  ],
};

export const unmap: Section = {
  call: "VFIO_IOMMU_UNMAP_DMA (sPAPR)",
  begin: "registered",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["what is mapped: nothing is left, so UNREGISTER leaves no zombie", SPAPR, o(from.tceClear), "0, 0, 0", (p) => [p.map(p.va, 0n, 8n * p.page), p.unmap(0n, 8n * p.page), p.unregister(p.va, 8n * p.page)]],
    ["twice", SPAPR, o(from.tceClear), "0, 0, 0", (p) => [p.map(p.va, 0n, p.page), p.unmap(0n, p.page), p.unmap(0n, p.page)]],
    ["what was never mapped", SPAPR, o(from.tceClear), "0", (p) => p.unmap(2n ** 20n, p.page)],
    ["a part of a map, then the rest", SPAPR, o(from.tceClear), "0, 0, 0, 0", (p) => [p.map(p.va, 0n, 4n * p.page), p.unmap(p.page, p.page), p.unmap(0n, 4n * p.page), p.unregister(p.va, 8n * p.page)]],
    ["more than is mapped", SPAPR, o(from.tceClear), "0, 0, 0", (p) => [p.map(p.va, 0n, p.page), p.unmap(0n, 2n ** 21n), p.unregister(p.va, 8n * p.page)]],
    ["several maps with holes between them", SPAPR, o(from.tceClear), "0, 0, 0, 0", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, 4n * p.page, p.page), p.unmap(0n, 5n * p.page), p.unregister(p.va, 8n * p.page)]],
    ["the size field is left as it was", SPAPR, o(from.tceIoctl), "0, 0, 0x200000", (p) => [p.map(p.va, 0n, p.page), p.unmap(0n, 2n ** 21n), p.u64(16)]],
    ["size 0", SPAPR, o(from.tceClear), "0, 0", (p) => [p.map(p.va, 0n, p.page), p.unmap(0n, 0n)]],
    ["size 1", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.unmap(0n, 1n)],
    ["size 2^64 - 1", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.unmap(0n, top - 1n)],
    ["from inside past the window's end, by a page: where it is not refused, memory behind the table is written", POWERNV, o(from.checkIoba), before(WHOLE_UNMAP, orCrash("0"), "1"), (p) => p.unmap(2n * GiB - p.page, 2n * p.page), { reboot: true }],
    ["from inside past the window's end, by a page", PSERIES, o(from.checkIoba), before(WHOLE_UNMAP, "0", "1"), (p) => p.unmap(GiB - p.page, 2n * p.page)],
    ["argsz 0, 16, 23", SPAPR, o(from.tceIoctl), "EINVAL", (p) => alike([0, 16, 23].map((argsz) => p.unmap(0n, p.page, { argsz })))],
    ["a longer struct", SPAPR, o(from.tceIoctl), "0", (p) => p.unmap(0n, p.page, { argsz: 200 })],
    ["any flag, type1's ALL (2) too", SPAPR, o(from.tceIoctl), "EINVAL", (p) => alike(otherBits(0).map((flags) => p.unmap(0n, p.page, { flags })))],
    ["size one byte off", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.unmap(0n, p.page + 1n)],
    ["iova one byte off: the errno becomes a truth value", SPAPR, o(from.checkIoba), "1", (p) => p.unmap(1n, p.page)],
    ["iova one byte off, size 0", SPAPR, o(from.checkIoba), "1", (p) => p.unmap(1n, 0n)],
    ["iova and size off", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.unmap(1n, 1n)],
    ["iova outside every window", SPAPR, o(from.tceFind), "ENXIO", (p) => p.unmap(2n ** 50n, p.page)],
    ["iova outside, size 0; iova outside, size off", SPAPR, o(from.tceFind), "ENXIO, ENXIO", (p) => [p.unmap(2n ** 50n, 0n), p.unmap(2n ** 50n, 1n)]],
    ["iova outside, flags", SPAPR, o(from.tceIoctl), "EINVAL", (p) => p.unmap(2n ** 50n, p.page, { flags: 1 })],
    ["the last iova there is", SPAPR, o(from.tceFind), "ENXIO", (p) => p.unmap(top - p.page, 2n * p.page)],
    ["from 0 on, with the default window removed and another at 1 << 59", SPAPR, o(from.tceFind), "0, 0, ENXIO", (p) => [p.create(12, 2n ** 21n), p.remove(0n), p.unmap(0n, p.page)]],
    ["with the struct of MAP, in a window at 1 << 59: there is no IOVA 0", SPAPR, o(from.tceFind), "0, 0, ENXIO", (p) => [p.create(12, 2n ** 21n), p.remove(0n), p.unmapWithMapStruct(0n, 2n ** 59n, p.page)]],
  ],
};
