import { NOIOMMU, o, POWERNV, PSERIES, type Section, SPAPR, TYPE1 } from "../row.ts";
import * as from from "./sources.ts";
import { alike, otherBits } from "./support.ts";

/** VFIO_EEH_PE_*. */
const [DISABLE, ENABLE, UNFREEZE_IO, UNFREEZE_DMA, GET_STATE, CONFIGURE, INJECT_ERR] = [0, 1, 2, 3, 4, 8, 9] as const;

export const eeh: Section = {
  call: "VFIO_EEH_PE_OP",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["GET_STATE (4): no error was seen", POWERNV, o(from.eehPeOp), "0", (p) => p.eeh(GET_STATE)],
    ["GET_STATE (4): the group has no endpoint", PSERIES, o(from.eehPeOp), "ENODEV", (p) => p.eeh(GET_STATE)],
    ["DISABLE (0), ENABLE (1), UNFREEZE_IO (2), UNFREEZE_DMA (3), CONFIGURE (8), of a group without an error", POWERNV, o(from.eehPeOp), "0, 0, 0, 0, 0", (p) => [DISABLE, ENABLE, UNFREEZE_IO, UNFREEZE_DMA, CONFIGURE].map((op) => p.eeh(op))],
    ["operations that there are not: 10, 2^32 - 1", POWERNV, o(from.eehPeOp), "EINVAL", (p) => alike([10, 0xffff_ffff].map((op) => p.eeh(op)))],
    ["argsz 0, 8, 11", POWERNV, o(from.eehPeOp), "EINVAL", (p) => alike([0, 8, 11].map((argsz) => p.eeh(GET_STATE, { argsz })))],
    ["argsz 12: all that most operations need", POWERNV, o(from.eehPeOp), "0", (p) => p.eeh(GET_STATE, { argsz: 12 })],
    ["any flag", POWERNV, o(from.eehPeOp), "EINVAL", (p) => alike(otherBits(0).map((flags) => p.eeh(GET_STATE, { flags })))],
    ["an error to inject (9): argsz 12, 39", POWERNV, o(from.eehPeOp), "EINVAL", (p) => alike([12, 39].map((argsz) => p.eeh(INJECT_ERR, { argsz })))],
    ["an error to inject: a function that there is not, a type", POWERNV, o(from.eehInject), "EINVAL, EINVAL, ERANGE", (p) => [p.eeh(INJECT_ERR, { func: 20 }), p.eeh(INJECT_ERR, { func: 0xffff_ffff }), p.eeh(INJECT_ERR, { type: 2 })]],
    ["argsz, flags and operations that cannot be: the group comes first", PSERIES, o(from.eehPeOp), "ENODEV", (p) => alike([p.eeh(GET_STATE, { argsz: 0 }), p.eeh(GET_STATE, { flags: 1 }), p.eeh(10), p.eeh(0)])],
    ["of two groups", POWERNV, o(from.eehPeOp), "0, 0, EINVAL", (p) => [p.joinSecond(), p.eeh(GET_STATE), p.eeh(10)], { groups: 2 }],
    ["of two groups", PSERIES, o(from.eehPeOp), "0, ENODEV", (p) => [p.joinSecond(), p.eeh(GET_STATE)], { groups: 2 }],
    ["of a container that is another process's", SPAPR, o(from.tceMm), "0, EPERM", (p) => [p.register(p.va, p.page), p.elsewhere("EEH_PE_OP")], { process: true }],
    ["asked of a group", SPAPR, o(from.groupIoctl), "ENOTTY", (p) => { p.container = p.group; return p.eeh(GET_STATE); }],
    ["a call of sPAPR", TYPE1, o(from.type1Ioctl), "ENOTTY", (p) => p.eeh(GET_STATE)],
    ["a call of sPAPR", NOIOMMU, o(from.noIommuIoctl), "ENOTTY", (p) => p.eeh(GET_STATE)],
  ],
};
