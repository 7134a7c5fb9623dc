import { VfioCall } from "../../../src/syscalls.ts";
import { before } from "../drift.ts";
import { o, type Section, TYPE1, V1, V2 } from "../row.ts";
import { ALIGNED, NO_NESTING } from "./changes.ts";
import { type1Info } from "./info.ts";
import * as from from "./sources.ts";
import { alike } from "./support.ts";

const all = "dma_avail 65535, migration, ranges 0x0-0xfedfffff 0xfef00000-0xffffffffffff";

/** VT-d of 48 bits; the hole is where interrupts are written to. */
export const type1GetInfo: Section = {
  call: "VFIO_IOMMU_GET_INFO (type1)",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["argsz 24: no room for the capabilities, and argsz says how much they take", TYPE1, o(from.type1Info), before(ALIGNED, "0, argsz 116, flags 3, pgsizes 0x40201000, no capabilities", "0, argsz 120, flags 3, pgsizes 0x40201000, no capabilities"), (p) => type1Info(p, 24)],
    ["argsz 16, the least", TYPE1, o(from.type1Info), before(ALIGNED, "0, argsz 116, flags 3, pgsizes 0x40201000", "0, argsz 120, flags 3, pgsizes 0x40201000"), (p) => type1Info(p, 16)],
    ["argsz 115", TYPE1, o(from.type1Info), before(ALIGNED, "0, argsz 116, flags 3, pgsizes 0x40201000, no capabilities", "0, argsz 120, flags 3, pgsizes 0x40201000, no capabilities"), (p) => type1Info(p, 115)],
    ["argsz 119: one byte short, where capabilities begin on multiples of 8", TYPE1, o(from.type1Info), before(ALIGNED, `0, argsz 119, flags 3, pgsizes 0x40201000, ${all}`, "0, argsz 120, flags 3, pgsizes 0x40201000, no capabilities"), (p) => type1Info(p, 119)],
    ["argsz 120: all of it", TYPE1, o(from.type1Info), `0, argsz 120, flags 3, pgsizes 0x40201000, ${all}`, (p) => type1Info(p, 120)],
    ["argsz 200: the same, and argsz stays", TYPE1, o(from.type1Info), `0, argsz 200, flags 3, pgsizes 0x40201000, ${all}`, (p) => type1Info(p, 200)],
    ["argsz 0, 8, 15", TYPE1, o(from.type1Info), "EINVAL", (p) => alike([0, 8, 15].map((argsz) => p.info(argsz)))],
    ["with two maps: two fewer are available", TYPE1, o(from.type1Info), "0, 0, 0, argsz 120, flags 3, pgsizes 0x40201000, dma_avail 65533, migration, ranges 0x0-0xfedfffff 0xfef00000-0xffffffffffff", (p) => [p.map(p.va, 0n, p.page), p.map(p.va, p.page, p.page), type1Info(p, 120)]],
    ["after UNMAP of both at once: all are available", TYPE1, o(from.type1Info), `0, 0, 0, argsz 120, flags 3, pgsizes 0x40201000, ${all}`, (p) => { p.map(p.va, 0n, p.page); return [p.map(p.va, p.page, p.page), p.unmap(0n, 2n * p.page), type1Info(p, 120)]; }],
    ["REGISTER: it has the number of DIRTY_PAGES, and the size of its struct is no flag of that", V2, o(from.type1Ioctl), "EINVAL", (p) => p.register(p.va, p.page)],
    ["REGISTER: it has the number of DIRTY_PAGES, which v1 refuses", V1, o(from.type1Ioctl), "EACCES", (p) => p.register(p.va, p.page)],
    ["UNREGISTER, CREATE, REMOVE: calls of sPAPR", TYPE1, o(from.type1Ioctl), "ENOTTY, ENOTTY, ENOTTY", (p) => [p.unregister(p.va, p.page), p.create(12, 2n ** 30n), p.remove(0n)]],
    ["CHECK_EXTENSION of the container: v1, v2, UNMAP_ALL (9)", TYPE1, o(from.type1Extension), "1, 1, 1", (p) => [1, 3, 9].map((type) => p.checkExtension(type))],
    ["CHECK_EXTENSION of the container: nesting (6), UPDATE_VADDR (10)", TYPE1, o(from.type1Extension), before(NO_NESTING, "1, 1", "0, 1"), (p) => [6, 10].map((type) => p.checkExtension(type))],
    ["CHECK_EXTENSION of the container: sPAPR, no-IOMMU", TYPE1, o(from.type1Extension), "0", (p) => alike([2, 7, 8].map((type) => p.checkExtension(type)))],
    ["GROUP_GET_STATUS of the container", TYPE1, o(from.type1Ioctl), "ENOTTY", (p) => p.status(p.container)],
    ["a second time: nothing changed", TYPE1, o(from.type1Info), "0, 0", (p) => [p.info(120), p.info(120)]],
    ["ENABLE", TYPE1, o(from.type1Ioctl), "ENOTTY", (p) => p.kernel.ioctl(p.container, VfioCall.IOMMU_ENABLE, 0)],
  ],
};
