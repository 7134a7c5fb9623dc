import { VfioCall } from "../../../src/syscalls.ts";
import { NOIOMMU, o, type Section } from "../row.ts";
import * as from from "./sources.ts";
import { alike } from "./support.ts";

/** With `vfio.enable_unsafe_noiommu_mode=1`, for a process that has CAP_SYS_RAWIO. */
export const noIommu: Section = {
  call: "no-IOMMU",
  begin: "nothing",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["the group by its number alone, without noiommu-", NOIOMMU, o(from.groupOpen), "ENOENT", (p) => p.opens(p.groupPath().replace("noiommu-", ""))],
    ["CHECK_EXTENSION of a container with the group: no-IOMMU (8)", NOIOMMU, o(from.checkExtension), "0, 1", (p) => { p.container = p.openContainer(); return [p.setContainer(p.openGroup()), p.checkExtension(8)]; }],
    ["CHECK_EXTENSION of a container with the group: type1 (1, 3), sPAPR (2, 7)", NOIOMMU, o(from.checkExtension), "0, 0", (p) => { p.container = p.openContainer(); return [p.setContainer(p.openGroup()), alike([1, 3, 2, 7].map((type) => p.checkExtension(type)))]; }],
    ["SET_IOMMU to type1 (1, 3), sPAPR (2, 7)", NOIOMMU, o(from.setIommu), "0, ENODEV", (p) => { p.container = p.openContainer(); return [p.setContainer(p.openGroup()), alike([1, 3, 2, 7].map((type) => p.setIommu(type)))]; }],
    ["MAP, UNMAP, GET_INFO: it maps nothing", NOIOMMU, o(from.noIommuIoctl), "ENOTTY, ENOTTY, ENOTTY, VmLck +0", (p) => { p.begin("container"); return [p.map(p.va, 0n, p.page), p.unmap(0n, p.page), p.info(), p.charged()]; }],
    ["REGISTER, CREATE, ENABLE", NOIOMMU, o(from.noIommuIoctl), "ENOTTY, ENOTTY, ENOTTY", (p) => { p.begin("container"); return [p.register(p.va, p.page), p.create(12, 2n ** 20n), p.kernel.ioctl(p.container, VfioCall.IOMMU_ENABLE, 0)]; }],
    ["CHECK_EXTENSION of a container that has the driver: 8, and 1, 3, 2, 7", NOIOMMU, o(from.noIommuIoctl), "1, 0", (p) => { p.begin("container"); return [p.checkExtension(8), alike([1, 3, 2, 7].map((type) => p.checkExtension(type)))]; }],
    ["two groups in one container", NOIOMMU, o(from.noIommuAttach), "0, 0", (p) => { p.begin("container"); return [p.joinSecond(), p.unset(p.second)]; }, { groups: 2 }],
    ["GROUP_GET_STATUS of a container that has the driver", NOIOMMU, o(from.noIommuIoctl), "ENOTTY", (p) => { p.begin("container"); return p.status(p.container); }],
  ],
};
