import { VfioCall } from "../../../src/syscalls.ts";
import { before } from "../drift.ts";
import type { Program } from "../program.ts";
import { ANY, NOIOMMU, o, POWERNV, PSERIES, type Section, SPAPR, TYPE1 } from "../row.ts";
import { NO_NESTING } from "./changes.ts";
import * as from from "./sources.ts";
import { alike } from "./support.ts";

export const checkExtension: Section = {
  call: "VFIO_CHECK_EXTENSION",
  begin: "nothing",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["sPAPR TCE v1 (2), v2 (7)", SPAPR, o(from.tceIoctl), "1, 1", (p) => { p.container = p.openContainer(); return [p.checkExtension(2), p.checkExtension(7)]; }],
    ["type1 (1), type1 v2 (3), DMA_CC (4), nesting (6), no-IOMMU (8)", SPAPR, o(from.checkExtension), "0", (p) => { p.container = p.openContainer(); return alike([1, 3, 4, 6, 8].map((type) => p.checkExtension(type))); }],
    ["EEH (5)", POWERNV, o(from.tceIoctl), "1", (p) => { p.container = p.openContainer(); return p.checkExtension(5); }],
    ["EEH (5)", PSERIES, o(from.tceIoctl), "0", (p) => { p.container = p.openContainer(); return p.checkExtension(5); }],
    ["what there is not: 0, 99, 2^32 - 1", ANY, o(from.checkExtension), "0", (p) => { p.container = p.openContainer(); return alike([0, 99, 0xffff_ffff].map((type) => p.checkExtension(type))); }],
    ["of a container that has its IOMMU: 2, 7, 1", SPAPR, o(from.tceIoctl), "1, 1, 0", (p) => { p.begin("container"); return [p.checkExtension(2), p.checkExtension(7), p.checkExtension(1)]; }],
    ["asked of a group", ANY, o(from.groupIoctl), "ENOTTY", (p) => { p.container = p.openGroup(); return p.checkExtension(1); }],
    ["sPAPR v1 and v2", TYPE1, o(from.checkExtension), "0, 0", (p) => { p.container = p.openContainer(); return [p.checkExtension(2), p.checkExtension(7)]; }],
    ["type1 (1), type1 v2 (3)", TYPE1, o(from.type1Extension), "1, 1", (p) => { p.container = p.openContainer(); return [p.checkExtension(1), p.checkExtension(3)]; }],
    ["nesting (6), UPDATE_VADDR (10)", TYPE1, o(from.type1Extension), before(NO_NESTING, "1, 0", "0, 0"), (p) => { p.container = p.openContainer(); return [p.checkExtension(6), p.checkExtension(10)]; }],
    ["no-IOMMU (8) of a container without a group", NOIOMMU, o(from.checkExtension), "1", (p) => { p.container = p.openContainer(); return p.checkExtension(8); }],
  ],
};

/** A group in a container, the IOMMU not set. */
const joined = (p: Program): Program => {
  p.container = p.openContainer();
  p.group = p.openGroup();
  p.setContainer(p.group);
  return p;
};

export const setIommu: Section = {
  call: "VFIO_SET_IOMMU",
  begin: "nothing",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["the right type", ANY, o(from.setIommu), "0", (p) => joined(p).setIommu()],
    ["a second time, the same type or another", ANY, o(from.setIommu), "0, EINVAL, EINVAL", (p) => [joined(p).setIommu(), p.setIommu(), p.setIommu(1)]],
    ["no group in the container", ANY, o(from.setIommu), "EINVAL", (p) => { p.container = p.openContainer(); return p.setIommu(); }],
    ["no group, a type that there is not", ANY, o(from.setIommu), "EINVAL", (p) => { p.container = p.openContainer(); return p.setIommu(99); }],
    ["type1 (1), type1 v2 (3), 4, 6, no-IOMMU (8), 0, 99, 2^32 - 1", SPAPR, o(from.setIommu), "ENODEV", (p) => { joined(p); return alike([1, 3, 4, 6, 8, 0, 99, 0xffff_ffff].map((type) => p.setIommu(type))); }],
    ["EEH (5), which is an extension and no IOMMU", POWERNV, o(from.tceOpen), "EINVAL", (p) => joined(p).setIommu(5)],
    ["EEH (5)", PSERIES, o(from.setIommu), "ENODEV", (p) => joined(p).setIommu(5)],
    ["sPAPR (2, 7), 0, 99", TYPE1, o(from.setIommu), "ENODEV", (p) => { joined(p); return alike([2, 7, 0, 99].map((type) => p.setIommu(type))); }],
    ["nesting (6), which VT-d does not do", TYPE1, o(from.type1Open), before(NO_NESTING, "EINVAL", "ENODEV"), (p) => joined(p).setIommu(6)],
    ["the right type after a wrong one", ANY, o(from.setIommu), "ENODEV, 0", (p) => [joined(p).setIommu(99), p.setIommu()]],
    ["asked of a group", ANY, o(from.groupIoctl), "ENOTTY", (p) => p.setIommu(undefined, p.openGroup())],
    ["before it: GET_INFO, MAP, UNMAP, ENABLE", ANY, o(from.containerIoctl), "EINVAL, EINVAL, EINVAL, EINVAL", (p) => { joined(p); return [p.info(), p.map(p.va, 0n, p.page), p.unmap(0n, p.page), p.kernel.ioctl(p.container, VfioCall.IOMMU_ENABLE, 0)]; }],
    ["before it: REGISTER, UNREGISTER, CREATE, REMOVE", ANY, o(from.containerIoctl), "EINVAL, EINVAL, EINVAL, EINVAL", (p) => { joined(p); return [p.register(p.va, p.page), p.unregister(p.va, p.page), p.create(12, 2n ** 20n), p.remove(0n)]; }],
    ["calls of a container, asked of a group: MAP, CREATE, ENABLE", ANY, o(from.groupIoctl), "ENOTTY, ENOTTY, ENOTTY", (p) => { joined(p).setIommu(); p.container = p.group; return [p.map(p.va, 0n, p.page), p.create(12, 2n ** 20n), p.kernel.ioctl(p.group, VfioCall.IOMMU_ENABLE, 0)]; }],
    ["ENABLE, DISABLE: calls of sPAPR v1", SPAPR, o(from.tceIoctl), "ENOTTY, ENOTTY", (p) => { p.begin("container"); return [p.kernel.ioctl(p.container, VfioCall.IOMMU_ENABLE, 0), p.kernel.ioctl(p.container, VfioCall.IOMMU_DISABLE, 0)]; }],
    ["ENABLE, DISABLE: calls of sPAPR v1", TYPE1, o(from.type1Ioctl), "ENOTTY, ENOTTY", (p) => { p.begin("container"); return [p.kernel.ioctl(p.container, VfioCall.IOMMU_ENABLE, 0), p.kernel.ioctl(p.container, VfioCall.IOMMU_DISABLE, 0)]; }],
  ],
};
