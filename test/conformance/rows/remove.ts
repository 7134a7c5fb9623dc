import { o, POWERNV, PSERIES, type Section, SPAPR } from "../row.ts";
import * as from from "./sources.ts";
import { alike, otherBits } from "./support.ts";

const HIGH = 2n ** 59n;
const GiB = 2n ** 30n;

export const remove: Section = {
  call: "VFIO_IOMMU_SPAPR_TCE_REMOVE",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["the default window as the first call: it is only cancelled, nothing was charged", SPAPR, o(from.tceIoctl), "0, VmLck +0", (p) => [p.remove(0n), p.charged()]],
    ["the default window twice", SPAPR, o(from.tceIoctl), "0, EINVAL", (p) => [p.remove(0n), p.remove(0n)]],
    ["an address inside the default window before it was made", SPAPR, o(from.tceRemove), "EINVAL, EINVAL, 0", (p) => [p.remove(1n), p.remove(0x1000n), p.remove(0n)]],
    ["the default window once it is made: the charge goes", SPAPR, o(from.tceRemove), "0, 0, 0, VmLck +1 page", (p) => [p.register(p.va, p.page), p.map(p.va, 0n, p.page), p.remove(0n), p.chargedPages()]],
    ["an address inside a window, also one byte off", SPAPR, o(from.tceRemove), "0, 0, 0", (p) => [p.register(p.va, p.page), p.map(p.va, 0n, p.page), p.remove(0x1001n)]],
    ["the last byte of the window", POWERNV, o(from.tceRemove), "0, 0, 0", (p) => [p.register(p.va, p.page), p.unmap(0n, p.page), p.remove(2n * GiB - 1n)]],
    ["the last byte of the window", PSERIES, o(from.tceRemove), "0, 0, 0", (p) => [p.register(p.va, p.page), p.unmap(0n, p.page), p.remove(GiB - 1n)]],
    ["the window's end", POWERNV, o(from.tceRemove), "0, 0, EINVAL", (p) => [p.register(p.va, p.page), p.unmap(0n, p.page), p.remove(2n * GiB)]],
    ["the window's end", PSERIES, o(from.tceRemove), "0, 0, EINVAL", (p) => [p.register(p.va, p.page), p.unmap(0n, p.page), p.remove(GiB)]],
    ["where no window is: 1 << 50, 1 << 59, 2^64 - 1", SPAPR, o(from.tceRemove), "EINVAL", (p) => { p.register(p.va, p.page); p.unmap(0n, p.page); return alike([2n ** 50n, HIGH, 2n ** 64n - 1n].map((at) => p.remove(at))); }],
    ["with live maps in it", SPAPR, o(from.tceRemove), "0, 0, 0, ENXIO", (p) => [p.register(p.va, p.page), p.map(p.va, 0n, p.page), p.remove(0n), p.unmap(0n, p.page)]],
    ["a window at 1 << 59, by its start and by its last byte", SPAPR, o(from.tceRemove), "0, 0, 0, 0", (p) => [p.create(12, 2n ** 21n), p.remove(HIGH), p.create(12, 2n ** 21n), p.remove(HIGH + 2n ** 21n - 1n)]],
    ["one of two: the other stays", SPAPR, o(from.tceRemove), "0, 0, 0, 0", (p) => [p.create(12, 2n ** 21n), p.register(p.va, p.page), p.remove(0n), p.map(p.va, HIGH, p.page)]],
    ["argsz 0, 8, 15", SPAPR, o(from.tceIoctl), "EINVAL", (p) => alike([0, 8, 15].map((argsz) => p.remove(0n, { argsz })))],
    ["any flag", SPAPR, o(from.tceIoctl), "EINVAL", (p) => alike(otherBits(0).map((flags) => p.remove(0n, { flags })))],
    ["a longer struct", SPAPR, o(from.tceIoctl), "0", (p) => p.remove(0n, { argsz: 200 })],
    ["the default window, and it comes again with a new container only", SPAPR, o(from.tceAttach), "0, ENXIO, 0", (p) => { p.register(p.va, p.page); const answers = [p.remove(0n), p.map(p.va, 0n, p.page)]; p.close(p.container); p.close(p.group); p.begin("container"); p.register(p.va, p.page); return [...answers, p.map(p.va, 0n, p.page)]; }],
  ],
};
