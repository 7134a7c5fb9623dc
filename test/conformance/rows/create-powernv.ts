import { before } from "../drift.ts";
import type { Program } from "../program.ts";
import { o, POWERNV, type Row, type Section, with4K, with64K } from "../row.ts";
import { size as text } from "../words.ts";
import { SHIFT_CHECKED } from "./changes.ts";
import * as from from "./sources.ts";

const K4 = with4K(POWERNV);
const K64 = with64K(POWERNV);
const HIGH = 2n ** 59n;
const GiB = 2n ** 30n;

/** CREATE with both places free, then what it charged. */
function alone(p: Program, pageShift: number, size: bigint, levels: number): string {
  p.remove(0n);
  const answer = p.creates(pageShift, size, levels);
  return `${answer}, ${p.charged()}`;
}

/** `1 TiB in 64 KiB pages, 2 levels` */
function shape(pageShift: number, size: bigint, levels: number): string {
  return `${text(size)} in ${text(1n << BigInt(pageShift))} pages, ${levels === 1 ? "1 level" : `${levels} levels`}`;
}

type Shape = readonly [pageShift: number, log2Size: number, levels: number, answer: string];

/** One row for each shape. */
function rows(where: Row[1], source: Row[2], shapes: readonly Shape[]): Row[] {
  return shapes.map(([pageShift, log2Size, levels, answer]): Row => {
    const size = 1n << BigInt(log2Size);
    return [shape(pageShift, size, levels), where, source, answer, (p) => alone(p, pageShift, size, levels)];
  });
}

/** The default window is removed first, so each starts at 0. */
export const createPowernv: Section = {
  call: "VFIO_IOMMU_SPAPR_TCE_CREATE (PowerNV)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ...rows(K4, o(from.pnvSize), [
      [12, 30, 1, "0, start 0x0, VmLck +4 MiB"],
      [12, 33, 1, "0, start 0x0, VmLck +32 MiB"],
      [12, 34, 2, "0, start 0x0, VmLck +64 MiB + 32 KiB"],
      [12, 36, 2, "0, start 0x0, VmLck +256 MiB + 64 KiB"],
      [12, 36, 3, "0, start 0x0, VmLck +256 MiB + 520 KiB"],
      [12, 40, 2, "0, start 0x0, VmLck +4 GiB + 256 KiB"],
      [16, 36, 1, "0, start 0x0, VmLck +16 MiB"],
      [16, 40, 2, "0, start 0x0, VmLck +256 MiB + 64 KiB"],
      [21, 36, 1, "0, start 0x0, VmLck +512 KiB"],
      [21, 40, 1, "0, start 0x0, VmLck +8 MiB"],
      [21, 42, 1, "0, start 0x0, VmLck +32 MiB"],
      [21, 44, 2, "0, start 0x0, VmLck +128 MiB + 64 KiB"],
      [30, 36, 1, "0, start 0x0, VmLck +8 KiB"],
      [30, 40, 1, "0, start 0x0, VmLck +16 KiB"],
      [12, 12, 1, "0, start 0x0, VmLck +8 KiB"],
      [12, 20, 1, "0, start 0x0, VmLck +8 KiB"],
      [12, 20, 2, "0, start 0x0, VmLck +16 KiB"],
      [12, 36, 4, "0, start 0x0, VmLck +256 MiB + 528 KiB"],
      [12, 36, 5, "EINVAL, start_addr 0x77, VmLck +256 MiB + 536 KiB; 256 MiB + 536 KiB stay charged"],
      [16, 40, 3, "0, start 0x0, VmLck +256 MiB + 520 KiB"],
      [16, 40, 4, "0, start 0x0, VmLck +256 MiB + 528 KiB"],
      [21, 44, 3, "0, start 0x0, VmLck +128 MiB + 264 KiB"],
      [21, 44, 4, "EINVAL, start_addr 0x77, VmLck +128 MiB + 272 KiB; 128 MiB + 272 KiB stay charged"],
      [30, 50, 2, "0, start 0x0, VmLck +16 MiB + 16 KiB"],
      [30, 50, 3, "EINVAL, start_addr 0x77, VmLck +16 MiB + 40 KiB; 16 MiB + 40 KiB stay charged"],
    ]),
    ...rows(K64, o(from.pnvSize), [
      [16, 31, 1, "0, start 0x0, VmLck +512 KiB"],
      [16, 40, 2, "0, start 0x0, VmLck +256 MiB + 128 KiB"],
      [21, 42, 1, "0, start 0x0, VmLck +32 MiB"],
      [21, 45, 2, "0, start 0x0, VmLck +256 MiB + 128 KiB"],
      [12, 20, 1, "0, start 0x0, VmLck +128 KiB"],
      [12, 36, 3, "0, start 0x0, VmLck +256 MiB + 256 KiB"],
      [12, 36, 4, "EINVAL, start_addr 0x77, VmLck +256 MiB + 384 KiB; 256 MiB + 384 KiB stay charged"],
      [21, 45, 3, "EINVAL, start_addr 0x77, VmLck +256 MiB + 256 KiB; 256 MiB + 256 KiB stay charged"],
      [30, 50, 1, "0, start 0x0, VmLck +16 MiB"],
    ]),
    ["the default window's charge", K64, o(from.pnvSize), "0, VmLck +1 page, 0, VmLck +8 MiB", (p) => [p.register(p.va, p.page), p.chargedPages(), p.unmap(0n, p.page), p.charged()]],
    ...rows(POWERNV, o(from.pnvSize), [
      [12, 30, 0, "EINVAL, start_addr 0x77, VmLck +0"],
      [12, 30, 6, "EINVAL, start_addr 0x77, VmLck +0"],
      [12, 30, 0xffff_ffff, "EINVAL, start_addr 0x77, VmLck +0"],
      [16, 12, 1, "EINVAL, start_addr 0x77, VmLck +0"],
    ]),
    ["not a power of two: 3 MiB, 2^64 - 1, 1 byte more than 1 GiB", POWERNV, o(from.pnvSize), "0, EINVAL, EINVAL, EINVAL, VmLck +0", (p) => [p.remove(0n), p.create(12, 3n << 20n), p.create(12, 2n ** 64n - 1n), p.create(12, 2n ** 30n + 1n), p.charged()]],
    ...rows(K4, o(from.pnvAlloc), [
      [12, 34, 1, "ENOMEM, start_addr 0x77, VmLck +64 MiB; 64 MiB stay charged"],
      [16, 40, 5, "EINVAL, start_addr 0x77, VmLck +256 MiB + 536 KiB; 256 MiB + 536 KiB stay charged"],
      [12, 48, 5, "EINVAL, start_addr 0x77, VmLck +1 TiB + 2 GiB + 4 MiB + 16 KiB; 1 TiB + 2 GiB + 4 MiB + 16 KiB stay charged"],
      [30, 63, 1, "EINVAL, start_addr 0x77, VmLck +128 GiB; 128 GiB stay charged"],
      [30, 63, 2, "EINVAL, start_addr 0x77, VmLck +128 GiB + 2 MiB; 128 GiB + 2 MiB stay charged"],
      [21, 20, 1, "0, start 0x0, VmLck +8 KiB"],
      [21, 20, 2, "0, start 0x0, VmLck +16 KiB"],
      [21, 19, 1, "0, start 0x0, VmLck +8 KiB"],
      [21, 19, 2, "EINVAL, start_addr 0x77, VmLck +24 KiB; 24 KiB stay charged"],
      [21, 19, 3, "0, start 0x0, VmLck +24 KiB"],
      [21, 18, 1, "0, start 0x0, VmLck +8 KiB"],
      [21, 18, 3, "EINVAL, start_addr 0x77, VmLck +0"],
      [21, 17, 1, "EINVAL, start_addr 0x77, VmLck +0"],
      [21, 17, 2, "EINVAL, start_addr 0x77, VmLck +40 KiB; 40 KiB stay charged"],
      [16, 13, 1, "0, start 0x0, VmLck +8 KiB"],
    ]),
    ...rows(K64, o(from.pnvAlloc), [
      [21, 45, 1, "ENOMEM, start_addr 0x77, VmLck +256 MiB; 256 MiB stay charged"],
      [30, 50, 2, "EINVAL, start_addr 0x77, VmLck +16 MiB + 128 KiB; 16 MiB + 128 KiB stay charged"],
      [16, 31, 3, "EINVAL, start_addr 0x77, VmLck +768 KiB; 768 KiB stay charged"],
      [16, 40, 3, "EINVAL, start_addr 0x77, VmLck +256 MiB + 256 KiB; 256 MiB + 256 KiB stay charged"],
    ]),
    ["a page shift of 140: an old kernel does not see the 128 in it", POWERNV, o(from.pnvSize), before(SHIFT_CHECKED, "EINVAL, start_addr 0x77, VmLck +4 MiB; 4 MiB stay charged", "EINVAL, start_addr 0x77, VmLck +0"), (p) => alone(p, 140, GiB, 1)],
    ["one that fails for want of contiguous memory, twice: each try leaves its charge", K4, o(from.tceCreateWindow), "0, ENOMEM, ENOMEM, VmLck +128 MiB; 128 MiB stay charged", (p) => [p.remove(0n), p.create(12, 2n ** 34n), p.create(12, 2n ** 34n), p.charged()]],
    ["beside the default window", POWERNV, o(from.pnvCreate), "0, start 0x800000000000000", (p) => p.creates(12, 2n ** 30n)],
    ["in the default window's place, at any size", POWERNV, o(from.pnvCreate), "0, 0, start 0x0", (p) => [p.remove(0n), p.creates(16, 2n ** 40n, 2)]],
    ["two windows of our own: the first free place each time", POWERNV, o(from.tceCreateWindow), "0, 0, start 0x0, 0, start 0x800000000000000", (p) => [p.remove(0n), p.creates(16, 2n ** 31n), p.creates(16, 2n ** 31n)]],
    ["the first of two removed, and one more", POWERNV, o(from.tceCreateWindow), "0, 0, 0, start 0x0", (p) => [p.create(16, 2n ** 31n), p.remove(0n), p.creates(21, 2n ** 40n)]],
    ["a window of one TCE covers what a CPU page of TCEs does: the 512th is the last", K4, o(from.pnvCreate), "0, 0, ENXIO", (p) => { p.create(12, 4096n); p.register(p.va, p.page); return [p.map(p.va, HIGH, 4096n), p.map(p.va, HIGH + 511n * 4096n, 4096n), p.map(p.va, HIGH + 512n * 4096n, 4096n)]; }],
    ["a window of one TCE covers what a CPU page of TCEs does: the 8192nd is the last", K64, o(from.pnvCreate), "0, 0, ENXIO", (p) => { p.create(12, 4096n); p.register(p.va, p.page); return [p.map(p.va, HIGH, 4096n), p.map(p.va, HIGH + 8191n * 4096n, 4096n), p.map(p.va, HIGH + 8192n * 4096n, 4096n)]; }],
    ["1 MiB in 2 MiB pages: 512 of them", K4, o(from.pnvCreate), "0, 0, EINVAL, 0", (p) => [p.remove(0n), p.create(21, 2n ** 20n), p.remove(2n ** 30n), p.remove(2n ** 30n - 1n)]],
  ],
};
