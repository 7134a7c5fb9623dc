/** One IOMMU group: opened, found viable, and put into a container. */
import { core } from "../core.ts";
import { DmaWindowError, leftBy, withResidue } from "../errors.ts";
import { type IommuKind, refusedByKernel } from "../explain.ts";
import { GroupFlag, type Syscalls, VfioCall } from "../syscalls.ts";
import { groupProblems, readGroups } from "../system/groups.ts";

/**
 * Opens the group and puts it into the container. Gives its fd; leaves nothing open when it fails. Groups without an IOMMU
 * have other names, so that nobody opens one by mistake (drivers/vfio/group.c: vfio_create_group).
 */
export function joinGroup(kernel: Syscalls, containerFd: number, group: number, iommu: IommuKind): number {
  const path = `/dev/vfio/${iommu === "noiommu" ? "noiommu-" : ""}${group}`;
  const fd = kernel.open(path);
  if (fd < 0) {
    const about = `open ${path}`;
    const facts = { group };
    throw refusedByKernel("open", fd, { about, hint: "open group", iommu, files: kernel.files, facts });
  }
  try {
    checkViable(kernel, fd, group, iommu);
    setContainer(kernel, fd, containerFd, group, iommu);
    return fd;
  } catch (error) {
    throw withResidue(error, closeFiles(kernel, [fd]));
  }
}

/** Closes files of an operation that failed: whatever Linux answers, they are. Gives a sentence for each that may not be. */
export function closeFiles(kernel: Syscalls, fds: readonly number[]): string[] {
  return fds.flatMap((fd) => leftBy(() => kernel.close(fd), `descriptor ${fd} may still be open`));
}

/** What the kernel answers, and the flags of a group where that is 0. struct vfio_group_status: | argsz : 4 | flags : 4 | */
export function groupStatus(kernel: Syscalls, fd: number): { readonly answer: number; readonly flags: number } {
  const at = core.structScratch();
  core.writeGroupStatus(at);
  const answer = kernel.ioctlStruct(fd, VfioCall.GROUP_GET_STATUS, core.bytes(), at);
  return { answer, flags: core.groupFlags(at) };
}

function checkViable(kernel: Syscalls, fd: number, group: number, iommu: IommuKind): void {
  const { answer, flags } = groupStatus(kernel, fd);
  if (answer !== 0) throw refused(kernel, "VFIO_GROUP_GET_STATUS", answer, group, iommu);
  if ((flags & GroupFlag.VIABLE) !== 0) return;
  throw new DmaWindowError(
    "ERR_GROUP_NOT_VIABLE",
    `group ${group} cannot be used: not every device in it is bound to vfio-pci${blame(kernel, group)}`,
    { facts: { group } },
  );
}

/** The argument is a pointer to the container's fd. */
function setContainer(kernel: Syscalls, fd: number, containerFd: number, group: number, iommu: IommuKind): void {
  const at = core.structScratch();
  core.writeFile(at, containerFd);
  const answer = kernel.ioctlStruct(fd, VfioCall.GROUP_SET_CONTAINER, core.bytes(), at);
  if (answer !== 0) throw refused(kernel, "VFIO_GROUP_SET_CONTAINER", answer, group, iommu);
}

function refused(
  { files }: Syscalls,
  syscall: string,
  answer: number,
  group: number,
  iommu: IommuKind,
): DmaWindowError {
  return refusedByKernel(syscall, answer, { about: `${syscall} of group ${group}`, iommu, files, facts: { group } });
}

/** What the sysfs of the kernel's own machine says against the group; nothing where it is not known. */
function blame({ files }: Syscalls, group: number): string {
  if (files === undefined) return "";
  try {
    const found = readGroups(files).find(({ id }) => id === group);
    const problems = found ? groupProblems(found) : [`the machine has no IOMMU group ${group}`];
    return problems.length === 0 ? "" : ` (${problems.join("; ")})`;
  } catch {
    return ""; // the words are a help; that they cannot be had must not hide the error itself
  }
}

/** Whatever else Linux answers, the descriptor is closed (fs/open.c: close); an interface that throws may not have asked. */
export function closeFile(kernel: Syscalls, fd: number): void {
  let answer: number;
  try {
    answer = kernel.close(fd);
  } catch (error) {
    throw withResidue(error, [`descriptor ${fd} may still be open`]);
  }
  if (answer < 0) throw refusedByKernel("close", answer, { files: kernel.files, facts: { fd } });
}
