import { before } from "../drift.ts";
import type { Program } from "../program.ts";
import { o, type Section, TYPE1, V1, V2 } from "../row.ts";
import { size, words } from "../words.ts";
import { OVERFLOW } from "./changes.ts";
import * as from from "./sources.ts";
import { alike, otherBits } from "./support.ts";

const top = 2n ** 64n;

/** UNMAP, and what the kernel wrote into the size: `0 of 4 KiB`. */
function unmaps(p: Program, iova: bigint, bytes: bigint, flags = 0): string {
  const result = p.unmap(iova, bytes, { flags });
  return `${words(result)} of ${size(p.u64(16))}`;
}

export const type1Unmap: Section = {
  call: "VFIO_IOMMU_UNMAP_DMA (type1)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["a map", TYPE1, o(from.type1Unmap), "0, 0 of 16 KiB, VmLck +0", (p) => [p.map(p.va, 0n, 4n * p.page), unmaps(p, 0n, 4n * p.page), p.charged()]],
    ["twice: the second time nothing", TYPE1, o(from.type1Unmap), "0, 0 of 4 KiB, 0 of 0", (p) => [p.map(p.va, 0n, p.page), unmaps(p, 0n, p.page), unmaps(p, 0n, p.page)]],
    ["as the first call", TYPE1, o(from.type1Unmap), "0 of 0", (p) => unmaps(p, 0n, p.page)],
    ["more than a map: the size is what was unmapped", TYPE1, o(from.type1Unmap), "0, 0 of 4 KiB", (p) => [p.map(p.va, p.page, p.page), unmaps(p, 0n, 16n * p.page)]],
    ["several maps with holes between them", TYPE1, o(from.type1Unmap), "0, 0, 0 of 12 KiB, VmLck +0", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, 4n * p.page, 2n * p.page), unmaps(p, 0n, 8n * p.page), p.charged()]],
    ["two maps that adjoin, at once", TYPE1, o(from.type1Unmap), "0, 0, 0 of 8 KiB", (p) => [p.map(p.va, 0n, p.page), p.map(p.va + p.page, p.page, p.page), unmaps(p, 0n, 2n * p.page)]],
    ["the first page of a map: nothing is unmapped", V2, o(from.type1Unmap), "0, EINVAL, EEXIST", (p) => [p.map(p.va, 0n, 4n * p.page), p.unmap(0n, p.page), p.map(p.va, 0n, p.page)]],
    ["the first page of a map: the whole map goes", V1, o(from.type1Unmap), "0, 0 of 16 KiB, VmLck +0", (p) => [p.map(p.va, 0n, 4n * p.page), unmaps(p, 0n, p.page), p.charged()]],
    ["the middle of a map, the last page of it: nothing is unmapped", V2, o(from.type1Unmap), "0, EINVAL, EINVAL, EEXIST", (p) => [p.map(p.va, 0n, 4n * p.page), p.unmap(p.page, p.page), p.unmap(3n * p.page, p.page), p.map(p.va, p.page, p.page)]],
    ["the middle of a map, the last page of it: 0, and nothing is unmapped", V1, o(from.type1Unmap), "0, 0 of 0, 0 of 0, EEXIST", (p) => [p.map(p.va, 0n, 4n * p.page), unmaps(p, p.page, p.page), unmaps(p, 3n * p.page, p.page), p.map(p.va, p.page, p.page)]],
    ["from before a map into it", V2, o(from.type1Unmap), "0, EINVAL", (p) => [p.map(p.va, 4n * p.page, 4n * p.page), p.unmap(0n, 5n * p.page)]],
    ["from before a map into it: the whole map goes", V1, o(from.type1Unmap), "0, 0 of 16 KiB", (p) => [p.map(p.va, 4n * p.page, 4n * p.page), unmaps(p, 0n, 5n * p.page)]],
    ["from inside a map over the next: nothing", V2, o(from.type1Unmap), "0, 0, EINVAL", (p) => [p.map(p.va, 0n, 4n * p.page), p.map(p.va, 4n * p.page, p.page), p.unmap(2n * p.page, 3n * p.page)]],
    ["from inside a map over the next: nothing", V1, o(from.type1Unmap), "0, 0, 0 of 0", (p) => [p.map(p.va, 0n, 4n * p.page), p.map(p.va, 4n * p.page, p.page), unmaps(p, 2n * p.page, 3n * p.page)]],
    ["one whole map and a part of the next: nothing is unmapped", V2, o(from.type1Unmap), "0, 0, EINVAL, EEXIST", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, p.page, 2n * p.page), p.unmap(0n, 2n * p.page), p.map(p.va, 0n, p.page)]],
    ["size 0", TYPE1, o(from.type1Unmap), "EINVAL", (p) => p.unmap(0n, 0n)],
    ["size 1, 2^64 - 1", TYPE1, o(from.type1Unmap), "EINVAL, EINVAL", (p) => [p.unmap(0n, 1n), p.unmap(0n, top - 1n)]],
    ["iova or size one byte off", TYPE1, o(from.type1Unmap), "EINVAL, EINVAL", (p) => [p.unmap(1n, p.page), p.unmap(0n, p.page + 1n)]],
    ["iova + size above 2^64", TYPE1, o(from.type1Unmap), before(OVERFLOW, "EINVAL", "EOVERFLOW"), (p) => p.unmap(top - p.page, 2n * p.page)],
    ["iova + size above 2^64, one byte off", TYPE1, o(from.type1Unmap), "EINVAL, EINVAL", (p) => [p.unmap(top - 1n, 2n), p.unmap(top - p.page, 2n * p.page + 1n)]],
    ["the last page there is: nothing is there", TYPE1, o(from.type1Unmap), "0 of 0", (p) => unmaps(p, top - p.page, p.page)],
    ["2^63 bytes: everything", TYPE1, o(from.type1Unmap), "0, 0, 0 of 8 KiB", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, 2n ** 40n, p.page), unmaps(p, 0n, 2n ** 63n)]],
    ["2^64 - 4 KiB: everything", TYPE1, o(from.type1Unmap), "0, 0 of 4 KiB", (p) => [p.map(p.va, 0n, p.page), unmaps(p, 0n, top - p.page)]],
    ["from the second page to 2^64: an old kernel finds nothing there", TYPE1, o(from.type1Unmap), before(OVERFLOW, "0, 0 of 0", "0, 0 of 4 KiB"), (p) => [p.map(p.va, 2n ** 40n, p.page), unmaps(p, p.page, top - p.page)]],
    ["outside the ranges, in the hole: nothing is there", TYPE1, o(from.type1Unmap), "0 of 0, 0 of 0", (p) => [unmaps(p, 2n ** 50n, p.page), unmaps(p, 0xfee0_0000n, p.page)]],
    ["argsz 0, 16, 23", TYPE1, o(from.type1Ioctl), "EINVAL", (p) => alike([0, 16, 23].map((argsz) => p.unmap(0n, p.page, { argsz })))],
    ["a longer struct", TYPE1, o(from.type1Ioctl), "0", (p) => p.unmap(0n, p.page, { argsz: 200 })],
    ["any unknown flag", TYPE1, o(from.type1Ioctl), "EINVAL", (p) => alike(otherBits(7).map((flags) => p.unmap(0n, p.page, { flags })))],
    ["ALL (2) with iova and size 0", TYPE1, o(from.type1Unmap), "0, 0, 0 of 8 KiB, VmLck +0", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, 2n ** 40n, p.page), unmaps(p, 0n, 0n, 2), p.charged()]],
    ["ALL with nothing mapped", TYPE1, o(from.type1Unmap), "0 of 0", (p) => unmaps(p, 0n, 0n, 2)],
    ["ALL with a size, with an iova", TYPE1, o(from.type1Unmap), "EINVAL, EINVAL", (p) => [p.unmap(0n, p.page, { flags: 2 }), p.unmap(p.page, 0n, { flags: 2 })]],
    ["ALL and VADDR (6): the maps stay", TYPE1, o(from.type1Unmap), "0, 0 of 4 KiB, EEXIST", (p) => [p.map(p.va, 0n, p.page), unmaps(p, 0n, 0n, 6), p.map(p.va, 0n, p.page)]],
    ["GET_DIRTY_BITMAP (1) where nothing tracks dirty pages", TYPE1, o(from.type1Unmap), "EINVAL", (p) => p.unmap(0n, p.page, { flags: 1, argsz: 48 })],
    ["with the struct of MAP: it reads the IOVA as the size, and unmaps all below the target", TYPE1, o(from.type1Unmap), "0, 0, 0 of 4 KiB, EEXIST", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, 2n ** 20n, p.page), (() => { const r = p.unmapWithMapStruct(0n, 2n ** 20n, p.page); return `${words(r)} of ${size(p.u64(16))}`; })(), p.map(p.va, 2n ** 20n, p.page)]],
    ["after munmap of the memory", TYPE1, o(from.type1Unmap), "0, 0, 0 of 4 KiB, VmLck +0", (p) => [p.map(p.va, 0n, p.page), p.munmap(p.va, p.page), unmaps(p, 0n, p.page), p.charged()]],
  ],
};
