import { o, POWERNV, PSERIES, type Section, SPAPR } from "../row.ts";
import * as from from "./sources.ts";
import { alike, otherBits } from "./support.ts";

const HIGH = 2n ** 59n;

/** What does not depend on who owns the tables. */
export const create: Section = {
  call: "VFIO_IOMMU_SPAPR_TCE_CREATE",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["argsz 0, 32, 39", SPAPR, o(from.tceIoctl), "EINVAL, VmLck +0", (p) => [alike([0, 32, 39].map((argsz) => p.create(12, 2n ** 20n, 1, { argsz }))), p.charged()]],
    ["any flag", SPAPR, o(from.tceIoctl), "EINVAL, VmLck +0", (p) => [alike(otherBits(0).map((flags) => p.create(12, 2n ** 20n, 1, { flags }))), p.charged()]],
    ["a longer struct", SPAPR, o(from.tceIoctl), "0", (p) => p.create(12, 2n ** 20n, 1, { argsz: 200 })],
    ["beside the default window: that is made first, and charged", POWERNV, o(from.tceDefault), "0, start 0x800000000000000, VmLck +8 MiB + 512 KiB", (p) => [p.creates(16, 2n ** 31n), p.charged()]],
    ["beside the default window: that is made first, and charged", PSERIES, o(from.tceDefault), "0, start 0x800000000000000, VmLck +2 MiB + 256 KiB", (p) => [p.creates(16, 2n ** 31n), p.charged()]],
    ["one that fails its checks makes the default window all the same", POWERNV, o(from.tceDefault), "EINVAL, start_addr 0x77, VmLck +8 MiB", (p) => [p.creates(13, 2n ** 20n), p.charged()]],
    ["one that fails its checks makes the default window all the same", PSERIES, o(from.tceDefault), "EINVAL, start_addr 0x77, VmLck +2 MiB", (p) => [p.creates(13, 2n ** 20n), p.charged()]],
    ["a third window", SPAPR, o(from.tceCreateWindow), "0, ENOSPC", (p) => [p.create(12, 2n ** 20n), p.create(12, 2n ** 20n)]],
    ["a third window, page shift, size and levels impossible: ENOSPC comes first", SPAPR, o(from.tceCreateWindow), "0, ENOSPC, ENOSPC, ENOSPC", (p) => [p.create(12, 2n ** 20n), p.create(13, 2n ** 20n), p.create(12, 0n), p.create(12, 2n ** 20n, 9)]],
    ["a third window, flags or argsz wrong: EINVAL comes first", SPAPR, o(from.tceIoctl), "0, EINVAL, EINVAL", (p) => [p.create(12, 2n ** 20n), p.create(12, 2n ** 20n, 1, { flags: 1 }), p.create(12, 2n ** 20n, 1, { argsz: 39 })]],
    ["page shifts that are not in pgsizes: 0, 11, 13, 20, 31, 63", SPAPR, o(from.tceCreateTable), "EINVAL", (p) => alike([0, 11, 13, 20, 31, 63].map((shift) => p.create(shift, 2n ** 40n)))],
    ["2^32 - 1 as page shift", SPAPR, o(from.tceCreateTable), "EINVAL", (p) => p.create(0xffff_ffff, 2n ** 40n)],
    ["pages of 16 MiB, which only pSeries has", POWERNV, o(from.tceCreateTable), "EINVAL", (p) => p.create(24, 2n ** 40n)],
    ["pages of 1 GiB, which only PowerNV has", PSERIES, o(from.tceCreateTable), "EINVAL", (p) => p.create(30, 2n ** 40n)],
    ["size 0", SPAPR, o(from.tceCreateTable), "0, EINVAL, VmLck +0", (p) => [p.remove(0n), p.create(12, 0n), p.charged()]],
    ["and CREATE again after REMOVE", SPAPR, o(from.tceCreateWindow), "0, 0, 0, start 0x800000000000000", (p) => [p.create(12, 2n ** 21n), p.remove(HIGH), p.creates(12, 2n ** 21n)]],
    ["the window is empty: UNMAP of what the one before it had mapped", SPAPR, o(from.tceCreateWindow), "0, 0, 0, 0, 0", (p) => [p.create(12, 2n ** 21n), p.register(p.va, p.page) || p.map(p.va, HIGH, p.page), p.remove(HIGH), p.create(12, 2n ** 21n), p.unregister(p.va, p.page)]],
  ],
};
