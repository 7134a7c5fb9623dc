import { ANY, o, type Section, SPAPR } from "../row.ts";
import * as from from "./sources.ts";

const TOKEN = "00112233-4455-6677-8899-aabbccddeeff";

export const devices: Section = {
  call: "VFIO_GROUP_GET_DEVICE_FD",
  begin: "nothing",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["of a group that is in no container", ANY, o(from.getDevice), "EINVAL", (p) => { p.group = p.openGroup(); return p.getDevice(); }, { device: true }],
    ["before SET_IOMMU", ANY, o(from.getDevice), "EINVAL", (p) => { p.group = p.openGroup(); p.setContainer(p.group, p.openContainer()); return p.getDevice(); }, { device: true }],
    ["a name that is not in the group, before SET_IOMMU", ANY, o(from.getDevice), "ENODEV", (p) => { p.group = p.openGroup(); return p.getDevice("0000:ff:1f.7"); }],
    ["a name that is not in the group, an empty one", ANY, o(from.getDevice), "ENODEV, ENODEV", (p) => { p.begin("container"); return [p.getDevice("0000:ff:1f.7"), p.getDevice("")]; }],
    ["asked of a container", ANY, o(from.containerIoctl), "EINVAL", (p) => { p.group = p.openContainer(); return p.getDevice(); }, { device: true }],
    ["the device of the group", ANY, o(from.getDevice), "opened", (p) => p.begin("container").getDevice(), { device: true }],
    ["its name, and spaces behind it", ANY, o(from.pciMatch), "opened, opened", (p) => { p.begin("container"); return [p.getDevice(`${p.deviceName} `), p.getDevice(`${p.deviceName}   `)]; }, { device: true }],
    ["its name, and a word behind it; a VF token, a short one", ANY, o(from.pciMatch), "EINVAL, EINVAL, EINVAL", (p) => { p.begin("container"); return ["foo", `vf_token=${TOKEN}`, "vf_token=1"].map((word) => p.getDevice(`${p.deviceName} ${word}`)); }, { device: true }],
    ["its name, and a digit or a tab behind it; its name without the last digit", ANY, o(from.pciMatch), "ENODEV, ENODEV, ENODEV", (p) => { p.begin("container"); return [`${p.deviceName}1`, `${p.deviceName}\t`, p.deviceName.slice(0, -1)].map((name) => p.getDevice(name)); }, { device: true }],
    ["its name without the domain", ANY, o(from.getDevice), "ENODEV", (p) => { p.begin("container"); return p.getDevice(p.deviceName.slice("0000:".length)); }, { device: true }],
    ["a name that fills a page of the CPU with the 0 behind it, one byte more", ANY, o(from.getDevice), "ENODEV, EINVAL", (p) => { p.begin("container"); const longest = Number(p.page) - 1; return [p.getDevice("x".repeat(longest)), p.getDevice("x".repeat(longest + 1))]; }],
    ["its name, and a word behind it, of a group that is in no container", ANY, o(from.pciMatch), "EINVAL", (p) => { p.group = p.openGroup(); return p.getDevice(`${p.deviceName} foo`); }, { device: true }],
    ["UNSET_CONTAINER while it is open, and after", ANY, o(from.unsetContainer), "EBUSY, 0, 0", (p) => { p.begin("container"); const device = p.deviceDescriptor(); return [p.unset(), p.close(device), p.unset()]; }, { device: true }],
    ["the group was closed, its device not: EBUSY until that is closed too", ANY, o(from.groupOpen), "0, EBUSY, 0, opened", (p) => { p.begin("container"); const device = p.deviceDescriptor(); return [p.close(p.group), p.opens(p.groupPath()), p.close(device), p.opens(p.groupPath())]; }, { device: true }],
    ["container and group were closed, the device not: all that the container holds stays", SPAPR, o(from.detachGroup), "0, 0, VmLck +1 page, 0, VmLck -1 page", (p) => { p.begin("container"); p.register(p.va, p.page); const device = p.deviceDescriptor(); return [p.close(p.container), p.close(p.group), p.chargedPages(), p.close(device), p.chargedPages()]; }, { device: true }],
  ],
};
