import { before } from "../drift.ts";
import type { Program } from "../program.ts";
import { o, PSERIES, type Row, type Section, with4K, with64K } from "../row.ts";
import { size as text } from "../words.ts";
import { SHIFT_CHECKED } from "./changes.ts";
import * as from from "./sources.ts";

const HIGH = 2n ** 59n;
const GiB = 2n ** 30n;
const MiB = 2n ** 20n;

/** CREATE with both places free, then what it charged. */
function alone(p: Program, pageShift: number, size: bigint, levels = 1): string {
  p.remove(0n);
  const answer = p.creates(pageShift, size, levels);
  return `${answer}, ${p.charged()}`;
}

type Shape = readonly [pageShift: number, size: bigint, answer: string];

function rows(where: Row[1], source: Row[2], shapes: readonly Shape[]): Row[] {
  return shapes.map(
    ([shift, size, answer]): Row => [
      `${text(size)} in ${text(1n << BigInt(shift))} pages, the default window removed`,
      where,
      source,
      answer,
      (p) => alone(p, shift, size),
    ],
  );
}

export const createPseries: Section = {
  call: "VFIO_IOMMU_SPAPR_TCE_CREATE (pSeries)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ...rows(PSERIES, o(from.psCreate), [
      [12, GiB, "0, start 0x0, VmLck +2 MiB"],
      [12, 512n * MiB, "0, start 0x0, VmLck +1 MiB"],
      [12, 2n * GiB, "0, start 0x800000000000000, VmLck +4 MiB"],
      [16, GiB, "0, start 0x800000000000000, VmLck +128 KiB"],
      [16, 2n * GiB, "0, start 0x800000000000000, VmLck +256 KiB"],
      [21, 2n ** 36n, "0, start 0x800000000000000, VmLck +256 KiB"],
      [24, 2n ** 45n, "0, start 0x800000000000000, VmLck +16 MiB"],
      [12, 4096n, "0, start 0x0, VmLck +0"],
    ]),
    ["beside the default window, small as it is", PSERIES, o(from.psCreate), "0, start 0x800000000000000", (p) => p.creates(12, 2n ** 20n)],
    ["beside the default window, of its own size and pages", PSERIES, o(from.psCreate), "0, start 0x800000000000000", (p) => p.creates(12, GiB)],
    ["one like the default first, then a large one: both work", PSERIES, o(from.psCreate), "0, 0, start 0x0, 0, start 0x800000000000000", (p) => [p.remove(0n), p.creates(12, GiB), p.creates(16, 2n * GiB)]],
    ["0 levels are as 1", PSERIES, o(from.psCreate), "0, start 0x0, VmLck +2 MiB", (p) => alone(p, 12, GiB, 0)],
    ["2 levels: the charge is as if there were no end to it, and stays", with4K(PSERIES), o(from.psCreate), "EINVAL, start_addr 0x77, VmLck +3 GiB + 1023 MiB + 1020 KiB; 3 GiB + 1023 MiB + 1020 KiB stay charged", (p) => alone(p, 12, GiB, 2)],
    ["2 levels: the charge is as if there were no end to it, and stays", with64K(PSERIES), o(from.psCreate), "EINVAL, start_addr 0x77, VmLck +3 GiB + 1023 MiB + 960 KiB; 3 GiB + 1023 MiB + 960 KiB stay charged", (p) => alone(p, 12, GiB, 2)],
    ["not a power of two: 3 MiB", with4K(PSERIES), o(from.psCreate), "EINVAL, start_addr 0x77, VmLck +4 KiB; 4 KiB stay charged", (p) => alone(p, 12, 3n * MiB)],
    ["not a power of two: 3 MiB, whose table is less than a CPU page", with64K(PSERIES), o(from.psCreate), "EINVAL, start_addr 0x77, VmLck +0", (p) => alone(p, 12, 3n * MiB)],
    ["smaller than its page: half of it, a 16th of it", PSERIES, o(from.psCreate), "0, EINVAL, EINVAL, VmLck +0", (p) => [p.remove(0n), p.create(16, 0x8000n), p.create(16, 4096n), p.charged()]],
    ["2^62 in 16 MiB pages: the charge stays", PSERIES, o(from.psCreate), "EINVAL, start_addr 0x77, VmLck +2 TiB; 2 TiB stay charged", (p) => alone(p, 24, 2n ** 62n)],
    ["2^63 in 16 MiB pages: the charge stays", PSERIES, o(from.psCreate), "EINVAL, start_addr 0x77, VmLck +4 TiB; 4 TiB stay charged", (p) => alone(p, 24, 2n ** 63n)],
    ["into the first place while a dynamic window has the second: the charge stays", PSERIES, o(from.psCreate), "0, 0, EPERM, VmLck +2 MiB + 256 KiB; 2 MiB stay charged", (p) => [p.create(16, 2n * GiB), p.remove(0n), p.create(12, GiB), p.charged()]],
    ["that, and again once the dynamic window is gone", PSERIES, o(from.psCreate), "0, 0, EPERM, 0, 0, start 0x0; 2 MiB stay charged", (p) => [p.create(16, 2n * GiB), p.remove(0n), p.create(12, GiB), p.remove(HIGH), p.creates(12, GiB)]],
    ["that, of a window that is not like the default one", PSERIES, o(from.psCreate), "0, 0, EPERM; 256 KiB stay charged", (p) => [p.create(16, 2n * GiB), p.remove(0n), p.create(16, 2n * GiB)]],
    ["a second dynamic window, the default one removed before: ENODEV", PSERIES, o(from.psCreate), "0, 0, ENODEV; 256 KiB stay charged", (p) => [p.remove(0n), p.create(16, 2n * GiB), p.create(16, 2n * GiB)], { reboot: true }],
    ["then every CREATE, in a new container too, until the machine starts again", PSERIES, o(from.psCreate), "0, 0, ENODEV, 0, ENODEV, ENODEV; 4 MiB + 256 KiB stay charged", (p) => { const first = [p.remove(0n), p.create(16, 2n * GiB), p.create(16, 2n * GiB), p.remove(HIGH), p.create(12, GiB)]; p.close(p.container); p.close(p.group); p.begin("container"); p.remove(0n); return [...first, p.create(12, GiB)]; }, { reboot: true }],
    ["then MAP and UNMAP in a new container: the default window cannot be made either", PSERIES, o(from.psCreate), "ENODEV, ENODEV, ENODEV; 4 MiB + 256 KiB stay charged", (p) => { p.remove(0n); p.create(16, 2n * GiB); const second = p.create(16, 2n * GiB); p.close(p.container); p.close(p.group); p.begin("registered"); return [second, p.map(p.va, 0n, p.page), p.unmap(0n, p.page)]; }, { reboot: true }],
    ["then what is refused before firmware is asked", with4K(PSERIES), o(from.psCreate), "ENODEV, EINVAL, EINVAL; 260 KiB stay charged", (p) => { p.remove(0n); p.create(16, 2n * GiB); return [p.create(16, 2n * GiB), p.create(12, 0n), p.create(12, 3n * MiB)]; }, { reboot: true }],
    ["then another group: not concerned", PSERIES, o(from.psCreate), "ENODEV, 0, start 0x800000000000000; 256 KiB stay charged", (p) => { p.remove(0n); p.create(16, 2n * GiB); const second = p.create(16, 2n * GiB); return [second, p.another().creates(16, 2n * GiB)]; }, { groups: 2, reboot: true }],
    ["a page shift of 140: an old kernel does not see the 128 in it, and firmware refuses; then another CREATE", PSERIES, o(from.psCreate), before(SHIFT_CHECKED, "ENODEV, start_addr 0x77, VmLck +2 MiB, ENODEV; 4 MiB stay charged", "EINVAL, start_addr 0x77, VmLck +0, 0"), (p) => [alone(p, 140, GiB), p.create(12, GiB)], { reboot: true }],
    ["2 MiB beside the default window, then that removed: MAP needs nothing more", with4K(PSERIES), o(from.psBuild), "0, 0, VmLck +4 KiB, 0, 0, VmLck +1 page", (p) => [p.create(12, 2n ** 21n), p.remove(0n), p.charged(), p.register(p.va, p.page), p.map(p.va, HIGH, p.page), p.chargedPages()]],
  ],
};
