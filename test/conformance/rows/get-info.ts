import { o, POWERNV, PSERIES, type Section, SPAPR } from "../row.ts";
import { tceInfo } from "./info.ts";
import * as from from "./sources.ts";
import { alike } from "./support.ts";

export const getInfo: Section = {
  call: "VFIO_IOMMU_SPAPR_TCE_GET_INFO",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["argsz 32", POWERNV, o(from.tceIoctl), "0, argsz 32, flags 1, 2 GiB at 0x0, pgsizes 0x40211000, 2 windows, 5 levels", (p) => tceInfo(p, 32)],
    ["argsz 32", PSERIES, o(from.tceIoctl), "0, argsz 32, flags 1, 1 GiB at 0x0, pgsizes 0x1211000, 2 windows, 1 levels", (p) => tceInfo(p, 32)],
    ["argsz 40, 200: as 32, and no byte more is written", SPAPR, o(from.tceIoctl), "0 0", (p) => [40, 200].map((argsz) => `${p.info(argsz)}${p.memory.subarray(32, 200).every((byte) => byte === 0xee) ? "" : " written"}`).join(" ")],
    ["argsz 16: ddw is not written", POWERNV, o(from.tceIoctl), "0, argsz 16, flags 1, 2 GiB at 0x0", (p) => tceInfo(p, 16)],
    ["argsz 16: ddw is not written", PSERIES, o(from.tceIoctl), "0, argsz 16, flags 1, 1 GiB at 0x0", (p) => tceInfo(p, 16)],
    ["argsz 20, 31: as 16", POWERNV, o(from.tceIoctl), "0, argsz 20, flags 1, 2 GiB at 0x0, 0, argsz 31, flags 1, 2 GiB at 0x0", (p) => [tceInfo(p, 20), tceInfo(p, 31)]],
    ["argsz 20, 31: as 16", PSERIES, o(from.tceIoctl), "0, argsz 20, flags 1, 1 GiB at 0x0, 0, argsz 31, flags 1, 1 GiB at 0x0", (p) => [tceInfo(p, 20), tceInfo(p, 31)]],
    ["argsz 0, 8, 15", SPAPR, o(from.tceIoctl), "EINVAL", (p) => alike([0, 8, 15].map((argsz) => p.info(argsz)))],
    ["as the first call it makes no window", SPAPR, o(from.tceIoctl), "0, VmLck +0", (p) => [p.info(), p.charged()]],
    ["after REMOVE of the default window: it names it still", POWERNV, o(from.tceIoctl), "0, 0, argsz 16, flags 1, 2 GiB at 0x0", (p) => [p.remove(0n), tceInfo(p, 16)]],
    ["after REMOVE of the default window: it names it still", PSERIES, o(from.tceIoctl), "0, 0, argsz 16, flags 1, 1 GiB at 0x0", (p) => [p.remove(0n), tceInfo(p, 16)]],
    ["with another window in its place: it names the default one", POWERNV, o(from.tceIoctl), "0, 0, 0, argsz 16, flags 1, 2 GiB at 0x0", (p) => [p.remove(0n), p.create(16, 2n ** 40n, 2), tceInfo(p, 16)]],
    ["with both windows taken: two windows and the same levels", POWERNV, o(from.tceIoctl), "0, 0, argsz 32, flags 1, 2 GiB at 0x0, pgsizes 0x40211000, 2 windows, 5 levels", (p) => [p.create(16, 2n ** 30n), tceInfo(p, 32)]],
  ],
};
