import { limit, limitPages, o, POWERNV, PSERIES, type Section, SPAPR, with4K } from "../row.ts";
import * as from from "./sources.ts";

const KiB = 2n ** 10n;
const MiB = 2n ** 20n;
const GiB = 2n ** 30n;

/** Without CAP_IPC_LOCK, in a process that has locked nothing else. */
export const limits: Section = {
  call: "RLIMIT_MEMLOCK (sPAPR)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["REGISTER up to exactly the limit", SPAPR, o(from.accountLocked), "0, VmLck +4 pages", (p) => [p.register(p.va, 4n * p.page), p.chargedPages()], limitPages(4n)],
    ["REGISTER of one page more: nothing is charged", SPAPR, o(from.accountLocked), "ENOMEM, VmLck +0", (p) => [p.register(p.va, 5n * p.page), p.charged()], limitPages(4n)],
    ["REGISTER of the page after the limit was reached", SPAPR, o(from.accountLocked), "0, ENOMEM", (p) => [p.register(p.va, 4n * p.page), p.register(p.va + 4n * p.page, p.page)], limitPages(4n)],
    ["UNREGISTER makes room again", SPAPR, o(from.accountLocked), "0, 0, 0", (p) => [p.register(p.va, 4n * p.page), p.unregister(p.va, 4n * p.page), p.register(p.va + 4n * p.page, 4n * p.page)], limitPages(4n)],
    ["a limit that is no whole number of pages is rounded down", SPAPR, o(from.accountLocked), "ENOMEM, 0", (p) => [p.register(p.va, (p.page === 4096n ? 5n : 1n) * p.page), p.page === 4096n ? p.register(p.va, 4n * p.page) : 0], limit(17n * KiB)],
    ["a limit of 0", SPAPR, o(from.accountLocked), "ENOMEM", (p) => p.register(p.va, p.page), limit(0n)],
    ["size 0 with a limit of 0: not the limit, there is nothing to pin", SPAPR, o(from.mmAlloc), "ENOMEM", (p) => p.register(p.va, 0n), limit(0n)],
    ["the limit comes before pinning: ENOMEM, not EFAULT", SPAPR, o(from.mmAlloc), "ENOMEM", (p) => p.register(p.nowhere, 8n * p.page), limitPages(4n)],
    ["the limit comes before the overlap: ENOMEM, not EINVAL", SPAPR, o(from.mmAlloc), "0, ENOMEM", (p) => [p.register(p.va, 2n * p.page), p.register(p.va, 3n * p.page)], limitPages(4n)],
    ["EBUSY comes before the limit", SPAPR, o(from.tceRegister), "0, EBUSY", (p) => [p.register(p.va, 4n * p.page), p.register(p.va, 4n * p.page)], limitPages(4n)],
    ["the same range in a second container is charged once, so it fits", SPAPR, o(from.tceRegister), "0, 0", (p) => { const other = p.another(); return [p.register(p.va, 4n * p.page), other.register(p.va, 4n * p.page)]; }, { groups: 2, ...limitPages(4n) }],
    ["the first UNMAP: the default window does not fit", SPAPR, o(from.tceDefault), "0, ENOMEM, VmLck +1 page", (p) => [p.register(p.va, p.page), p.unmap(0n, p.page), p.chargedPages()], limit(MiB)],
    ["the first MAP: the default window does not fit", SPAPR, o(from.tceDefault), "0, ENOMEM", (p) => [p.register(p.va, p.page), p.map(p.va, 0n, p.page)], limit(MiB)],
    ["CREATE of a small window: the default one comes first, and does not fit", POWERNV, o(from.tceDefault), "ENOMEM, start_addr 0x77, VmLck +0", (p) => [p.creates(21, 2n ** 30n), p.charged()], limit(MiB)],
    ["CREATE of a small window: the default one comes first, and does not fit", PSERIES, o(from.tceDefault), "ENOMEM, start_addr 0x77, VmLck +0", (p) => [p.creates(21, 2n ** 30n), p.charged()], limit(MiB)],
    ["CREATE of a small window, the default one removed", POWERNV, o(from.accountLocked), "0, 0, start 0x0", (p) => [p.remove(0n), p.creates(16, 2n ** 31n)], limit(MiB)],
    ["CREATE of a small window, the default one removed", PSERIES, o(from.accountLocked), "0, 0, start 0x800000000000000", (p) => [p.remove(0n), p.creates(16, 2n ** 31n)], limit(MiB)],
    ["CREATE over the limit: nothing is charged", POWERNV, o(from.tceCreateTable), "0, ENOMEM, start_addr 0x77, VmLck +0", (p) => [p.remove(0n), p.creates(12, GiB), p.charged()], limit(3n * MiB)],
    ["CREATE over the limit: nothing is charged", PSERIES, o(from.tceCreateTable), "0, ENOMEM, start_addr 0x77, VmLck +0", (p) => [p.remove(0n), p.creates(12, GiB), p.charged()], limit(MiB)],
    ["CREATE up to exactly the limit", POWERNV, o(from.accountLocked), "0, 0, start 0x0", (p) => [p.remove(0n), p.creates(12, GiB)], limit(4n * MiB)],
    ["CREATE up to exactly the limit", PSERIES, o(from.accountLocked), "0, 0, start 0x0", (p) => [p.remove(0n), p.creates(12, GiB)], limit(2n * MiB)],
    ["what the limit allows, and there is no contiguous memory for: the charge stays and is missing afterwards", with4K(POWERNV), o(from.tceCreateTable), "0, ENOMEM, VmLck +64 MiB, ENOMEM, VmLck +0; 64 MiB stay charged", (p) => [p.remove(0n), p.create(12, 16n * GiB), p.charged(), p.create(12, GiB), p.charged()], limit(64n * MiB)],
    ["2 levels: the charge is 4 GiB, so ENOMEM, and nothing stays", PSERIES, o(from.tceCreateTable), "0, ENOMEM, VmLck +0", (p) => [p.remove(0n), p.create(12, MiB, 2), p.charged()], limit(64n * MiB)],
    ["not a power of two, over the limit: nothing is charged for it", POWERNV, o(from.pnvSize), "0, EINVAL, VmLck +0", (p) => [p.remove(0n), p.create(12, 3n * GiB), p.charged()], limit(MiB)],
    ["not a power of two, over the limit: that comes first", PSERIES, o(from.tceCreateTable), "0, ENOMEM, VmLck +0", (p) => [p.remove(0n), p.create(12, 3n * GiB), p.charged()], limit(MiB)],
    ["REMOVE needs no room", SPAPR, o(from.tceIoctl), "0", (p) => p.remove(0n), limit(0n)],
    ["GET_INFO needs no room", SPAPR, o(from.tceIoctl), "0", (p) => p.info(), limit(0n)],
    ["with CAP_IPC_LOCK nothing is refused: 64 MiB over a limit of 8", POWERNV, o(from.accountLocked), "0, 0, start 0x0", (p) => [p.remove(0n), p.creates(12, 16n * GiB, 2)]],
  ],
};
