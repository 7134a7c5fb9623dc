import { before } from "../drift.ts";
import { ANY, o, POWERNV, PSERIES, type Section, SPAPR } from "../row.ts";
import { BAD_FILE } from "./changes.ts";
import * as from from "./sources.ts";
import { alike } from "./support.ts";

export const getStatus: Section = {
  call: "VFIO_GROUP_GET_STATUS",
  begin: "nothing",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["of a group that is in no container: viable", ANY, o(from.getStatus), "flags 1", (p) => p.status(p.openGroup())],
    ["of one that is: viable and set", ANY, o(from.getStatus), "flags 3", (p) => { const g = p.openGroup(); p.setContainer(g, p.openContainer()); return p.status(g); }],
    ["of one that was", ANY, o(from.getStatus), "flags 1", (p) => { const g = p.openGroup(); p.setContainer(g, p.openContainer()); p.unset(g); return p.status(g); }],
    ["argsz 0, 4, 7", ANY, o(from.getStatus), "EINVAL", (p) => { const g = p.openGroup(); return alike([0, 4, 7].map((argsz) => p.status(g, argsz))); }],
    ["a longer struct", ANY, o(from.getStatus), "flags 1", (p) => p.status(p.openGroup(), 200)],
    ["asked of a container without an IOMMU", ANY, o(from.containerIoctl), "EINVAL", (p) => p.status(p.openContainer())],
    ["asked of a container that has one", ANY, o(from.tceIoctl), "ENOTTY", (p) => { p.begin("container"); return p.status(p.container); }],
  ],
};

export const setContainer: Section = {
  call: "VFIO_GROUP_SET_CONTAINER",
  begin: "nothing",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["a group into a container", ANY, o(from.setContainer), "0", (p) => p.setContainer(p.openGroup(), p.openContainer())],
    ["a group that is in it already", ANY, o(from.setContainer), "0, EINVAL", (p) => { const [g, c] = [p.openGroup(), p.openContainer()]; return [p.setContainer(g, c), p.setContainer(g, c)]; }],
    ["a group that is in another", ANY, o(from.setContainer), "0, EINVAL", (p) => { const g = p.openGroup(); return [p.setContainer(g, p.openContainer()), p.setContainer(g, p.openContainer())]; }],
    ["a descriptor that is not open: 9999, -1", ANY, o(from.setContainer), "EBADF", (p) => { const g = p.openGroup(); return alike([9999, -1].map((fd) => p.setContainer(g, fd))); }],
    ["a descriptor that is no container", ANY, o(from.setContainer), before(BAD_FILE, "EINVAL", "EBADFD"), (p) => { const g = p.openGroup(); return p.setContainer(g, g); }],
    ["that, of a group that is in a container", ANY, o(from.setContainer), "0, EINVAL", (p) => { const g = p.openGroup(); return [p.setContainer(g, p.openContainer()), p.setContainer(g, g)]; }],
    ["asked of a container", ANY, o(from.containerIoctl), "EINVAL", (p) => { const c = p.openContainer(); return p.setContainer(c, c); }],
    ["into another container, after the first was closed and UNSET_CONTAINER", ANY, o(from.setContainer), "0, 0, EINVAL, 0, 0", (p) => { const [g, c, d] = [p.openGroup(), p.openContainer(), p.openContainer()]; return [p.setContainer(g, c), p.close(c), p.setContainer(g, d), p.unset(g), p.setContainer(g, d)]; }],
    ["two groups before SET_IOMMU", ANY, o(from.setContainer), "0, 0", (p) => { const c = p.openContainer(); return [p.setContainer(p.openGroup(0), c), p.setContainer(p.openGroup(1), c)]; }, { groups: 2 }],
  ],
};

/** Where the windows of a container meet a second group. */
export const secondGroup: Section = {
  call: "VFIO_GROUP_SET_CONTAINER",
  begin: "container",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["a second group, the default window not yet made", SPAPR, o(from.tceAttach), "0", (p) => p.joinSecond(), { groups: 2 }],
    ["a second group, the default window made; then MAP", POWERNV, o(from.tceAttach), "0, 0, 0, 0", (p) => [p.register(p.va, p.page), p.map(p.va, 0n, p.page), p.joinSecond(), p.map(p.va, p.page, p.page)], { groups: 2 }],
    ["a second group, the default window made; then UNMAP", PSERIES, o(from.psSetWindow), "0, 0, EPERM, 0", (p) => [p.register(p.va, p.page), p.map(p.va, 0n, p.page), p.joinSecond(), p.unmap(0n, p.page)], { groups: 2 }],
    ["a second group, a dynamic window made", PSERIES, o(from.psSetWindow), "0, 0, EPERM", (p) => [p.remove(0n), p.create(16, 2n ** 31n), p.joinSecond()], { groups: 2 }],
    ["a second group, two windows made", POWERNV, o(from.tceAttach), "0, 0", (p) => [p.create(16, 2n ** 31n), p.joinSecond()], { groups: 2 }],
    ["a second group is in: MAP, UNMAP", PSERIES, o(from.psSetWindow), "0, 0, EPERM, EPERM", (p) => [p.joinSecond(), p.register(p.va, p.page), p.map(p.va, 0n, p.page), p.unmap(0n, p.page)], { groups: 2 }],
    ["a second group is in: CREATE, and the charge is given back", PSERIES, o(from.psSetWindow), "0, EPERM, VmLck +0", (p) => [p.joinSecond(), p.create(16, 2n ** 31n), p.charged()], { groups: 2 }],
    ["a second group is in: REMOVE of the default window, CREATE of any window", PSERIES, o(from.psSetWindow), "0, 0, EPERM, EPERM, VmLck +0", (p) => [p.joinSecond(), p.remove(0n), p.create(16, 2n ** 31n), p.create(12, 2n ** 30n), p.charged()], { groups: 2 }],
    ["a second group was in and has left: CREATE", PSERIES, o(from.psSetWindow), "0, 0, 0, 0, start 0x800000000000000", (p) => [p.joinSecond(), p.remove(0n), p.unset(p.second), p.creates(16, 2n ** 31n)], { groups: 2 }],
    ["a second group is in: CREATE makes one window for both", POWERNV, o(from.tceCreateWindow), "0, 0, 0, start 0x0, VmLck +512 KiB", (p) => [p.joinSecond(), p.remove(0n), p.creates(16, 2n ** 31n), p.charged()], { groups: 2 }],
    ["the second group of two before SET_IOMMU leaves", POWERNV, o(from.tceDetach), "0, 0, 0, 0, EINVAL", (p) => [p.joinSecond(), p.register(p.va, p.page), p.map(p.va, 0n, p.page), p.unset(p.second), p.map(p.unregistered, 0n, p.page)], { groups: 2 }],
  ],
};

export const unsetContainer: Section = {
  call: "VFIO_GROUP_UNSET_CONTAINER",
  begin: "nothing",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["a group that is in none", ANY, o(from.unsetContainer), "EINVAL", (p) => p.unset(p.openGroup())],
    ["a group that is in one, and again", ANY, o(from.unsetContainer), "0, 0, EINVAL", (p) => { const g = p.openGroup(); return [p.setContainer(g, p.openContainer()), p.unset(g), p.unset(g)]; }],
    ["the container was closed", ANY, o(from.unsetContainer), "0, 0, 0", (p) => { const [g, c] = [p.openGroup(), p.openContainer()]; return [p.setContainer(g, c), p.close(c), p.unset(g)]; }],
    ["asked of a container", ANY, o(from.containerIoctl), "EINVAL", (p) => p.unset(p.openContainer())],
    ["the last group takes the IOMMU along: driver calls, then SET_IOMMU without and with a group", ANY, o(from.detachGroup), "0, EINVAL, EINVAL, 0, EINVAL, 0", (p) => { p.begin("container"); return [p.unset(), p.unmap(0n, p.page), p.setIommu(), p.setContainer(p.group), p.unmap(0n, p.page), p.setIommu()]; }],
    ["the last group takes windows, registrations and charges along", SPAPR, o(from.tceRelease), "0, VmLck +0, 0, EPERM", (p) => { p.begin("registered"); p.map(p.va, 0n, p.page); return [p.unset(), p.charged(), p.setContainer(p.group) || p.setIommu(), p.map(p.va, 0n, p.page)]; }],
    ["one of two groups leaves: every TCE of the container is cleared, the windows stay", POWERNV, o(from.tceDetach), "0, 0, 0, VmLck +8 MiB", (p) => { p.begin("container"); p.register(p.va, p.page); return [p.joinSecond(), p.map(p.va, 0n, p.page), p.unset(p.second) || p.unregister(p.va, p.page), p.charged()]; }, { groups: 2 }],
    ["the first of two groups leaves: the second goes on", POWERNV, o(from.tceDetach), "0, 0, 0, 0", (p) => { p.begin("registered"); return [p.map(p.va, 0n, p.page), p.joinSecond(), p.unset(), p.map(p.va, 0n, p.page)]; }, { groups: 2 }],
    ["closing the first of two groups: the second goes on", POWERNV, o(from.tceDetach), "0, 0, 0, 0", (p) => { p.begin("registered"); return [p.map(p.va, 0n, p.page), p.joinSecond(), p.close(p.group), p.map(p.va, 0n, p.page)]; }, { groups: 2 }],
  ],
};
