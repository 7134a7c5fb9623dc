import { VfioCall } from "../../../src/syscalls.ts";
import { ANY, o, type Section } from "../row.ts";
import { containerIoctl, containerOpen, groupIoctl, groupOpen } from "./sources.ts";

export const open: Section = {
  call: "open, close",
  begin: "nothing",
  // biome-ignore format: a table is read by its columns
  rows: [
    ["the container's node", ANY, o(containerOpen), "opened", (p) => p.opens("/dev/vfio/vfio")],
    ["the container's node twice: two containers", ANY, o(containerOpen), "opened, opened", (p) => [p.opens("/dev/vfio/vfio"), p.opens("/dev/vfio/vfio")]],
    ["a group", ANY, o(groupOpen), "opened", (p) => p.opens(p.groupPath())],
    ["a group that is open already", ANY, o(groupOpen), "opened, EBUSY", (p) => [p.opens(p.groupPath()), p.opens(p.groupPath())]],
    ["a group again, once it was closed", ANY, o(groupOpen), "0, opened", (p) => [p.close(p.openGroup()), p.opens(p.groupPath())]],
    ["a second group while the first is open", ANY, o(groupOpen), "opened, opened", (p) => [p.opens(p.groupPath(0)), p.opens(p.groupPath(1))], { groups: 2 }],
    ["a group that is open, after its container was closed", ANY, o(groupOpen), "0, 0, EBUSY", (p) => { const c = p.openContainer(); return [p.setContainer(p.openGroup(), c), p.close(c), p.opens(p.groupPath())]; }],
    ["a group that there is not", ANY, o(groupOpen), "ENOENT", (p) => p.opens("/dev/vfio/9999")],
    ["a group's number with a 0 before it", ANY, o(groupOpen), "ENOENT", (p) => p.opens("/dev/vfio/026")],
    ["a folder: /dev/vfio, /dev/vfio/", ANY, o("fs/namei.c: may_open"), "EISDIR, EISDIR", (p) => [p.opens("/dev/vfio"), p.opens("/dev/vfio/")]],
    ["an empty path", ANY, o("fs/namei.c: getname_flags"), "ENOENT", (p) => p.opens("")],
    ["the container's node as if it were a folder", ANY, o("fs/namei.c: link_path_walk"), "ENOTDIR", (p) => p.opens("/dev/vfio/vfio/")],
    ["closing twice", ANY, o("fs/open.c: close"), "0, EBADF", (p) => { const c = p.openContainer(); return [p.close(c), p.close(c)]; }],
    ["a call on a descriptor that was closed", ANY, o("fs/ioctl.c: ioctl"), "EBADF", (p) => { const c = p.openContainer(); p.close(c); return p.setIommu(undefined, c); }],
    ["GET_API_VERSION of a container", ANY, o(containerIoctl), "0", (p) => p.kernel.ioctl(p.openContainer(), VfioCall.GET_API_VERSION, 0)],
    ["GET_API_VERSION of a group", ANY, o(groupIoctl), "ENOTTY", (p) => p.kernel.ioctl(p.openGroup(), VfioCall.GET_API_VERSION, 0)],
  ],
};
