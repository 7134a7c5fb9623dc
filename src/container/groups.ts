/** The groups of a container, which come and go while it is open. */
import { argumentRangeError, asOurs, DmaWindowError, withResidue } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import { bytes, hex } from "../hex.ts";
import type { IommuInfo } from "../iommu.ts";
import { without } from "../plan/ranges.ts";
import { GroupFlag, type Syscalls, VfioCall } from "../syscalls.ts";
import { warn } from "../warn.ts";
import type { Backend, OpenWindow } from "./backend/backend.ts";
import { groupStatus, joinGroup } from "./group.ts";

/** A group of the container's, and its descriptor. */
export interface HeldGroup {
  readonly group: number;
  readonly fd: number;
}

export class Groups {
  readonly #kernel: Syscalls;
  readonly #containerFd: number;
  readonly #held: HeldGroup[] = [];

  constructor(kernel: Syscalls, containerFd: number) {
    this.#kernel = kernel;
    this.#containerFd = containerFd;
  }

  get held(): readonly HeldGroup[] {
    return this.#held;
  }

  get numbers(): readonly number[] {
    return this.#held.map(({ group }) => group);
  }

  get fds(): readonly number[] {
    return this.#held.map(({ fd }) => fd);
  }

  find(group: number): HeldGroup | undefined {
    return this.#held.find((one) => one.group === group);
  }

  /** Before the container has its IOMMU. */
  join(group: number, kind: IommuInfo["kind"]): void {
    this.#held.push({ group, fd: joinGroup(this.#kernel, this.#containerFd, group, kind) });
  }

  /**
   * Into a container that is in use: what is mapped there is mapped for it from the beginning. On type1 it may bring limits of its own; a
   * window that was made before must not have lost any of its IOVAs by that.
   */
  add(group: number, backend: Backend, windows: readonly OpenWindow[]): void {
    if (this.find(group) !== undefined) {
      throw argumentRangeError("group", `a group that is not in the container already (${this.#list()})`, group);
    }
    const before = backend.info();
    checkPlatform(before, group);
    this.join(group, backend.kind);
    try {
      if (before.kind === "type1" && windows.length > 0) this.#checkRanges(group, before, backend.info(), windows);
    } catch (error) {
      throw withResidue(error, this.#takeBack(group));
    }
  }

  /**
   * `mapped` bytes are mapped in the container.
   *
   * @throws RangeError; `ERR_LAST_GROUP`; `ERR_STILL_MAPPED`; `ERR_KERNEL` with the group as it was, or where it has left and its file
   * does not close.
   */
  remove(group: number, kind: IommuInfo["kind"], mapped: bigint): void {
    const held = this.find(group);
    if (held === undefined) throw argumentRangeError("group", `one of the container's groups (${this.#list()})`, group);
    if (this.#held.length === 1) {
      throw new DmaWindowError(
        "ERR_LAST_GROUP",
        `group ${group} is the last one of its container, and with it all that is mapped would go: close the container instead`,
        { facts: { group } },
      );
    }
    if (kind === "spapr" && mapped > 0n) throw wouldClear(group, mapped);
    this.#leave(held);
  }

  /** Whether the kernel has taken all of them out of the container, as it does when their last device is unbound or unplugged. */
  get areGone(): boolean {
    return this.#held.every(({ fd }) => {
      try {
        const { answer, flags } = groupStatus(this.#kernel, fd);
        return answer !== 0 || (flags & GroupFlag.CONTAINER_SET) === 0;
      } catch {
        return false; // an interface that throws says nothing
      }
    });
  }

  /** `drivers/vfio/group.c: vfio_group_ioctl_unset_container`: first out of the container, then closed. */
  #leave({ group, fd }: HeldGroup): void {
    const answer = this.#kernel.ioctl(fd, VfioCall.GROUP_UNSET_CONTAINER, 0);
    const call = "VFIO_GROUP_UNSET_CONTAINER";
    const { files } = this.#kernel;
    const facts = { group };
    if (answer !== 0) throw refusedByKernel(call, answer, { about: `${call} of group ${group}`, files, facts });
    this.#held.splice(
      this.#held.findIndex((one) => one.group === group),
      1,
    );
    let closed: number;
    try {
      closed = this.#kernel.close(fd);
    } catch (error) {
      throw withResidue(error, [`descriptor ${fd} may still be open`]);
    }
    if (closed < 0) throw refusedByKernel("close", closed, { files, facts: { fd, group } });
  }

  #takeBack(group: number): readonly string[] {
    const held = this.find(group);
    if (held === undefined) return [];
    try {
      this.#leave(held);
      return [];
    } catch (error) {
      return [`group ${group} may still be in the container (${asOurs(error).message})`];
    }
  }

  #checkRanges(group: number, before: IommuInfo, after: IommuInfo, windows: readonly OpenWindow[]): void {
    if (before.kind !== "type1" || after.kind !== "type1") return;
    for (const { start, size } of windows) {
      const window = { start, last: start + size - 1n };
      const had = before.ranges.filter((range) => range.start <= window.last && range.last >= start);
      const lost = after.ranges.reduce((left, range) => without(left, range), had);
      const [first] = lost.filter((range) => range.start <= window.last && range.last >= start);
      if (first === undefined) continue;
      throw new DmaWindowError(
        "ERR_GROUP_MISFIT",
        `group ${group} does not allow the IOVAs ${hex(first.start)}-${hex(first.last)}, and the window at ${hex(start)} has such: ` +
          "give it a container of its own, or add it before the window is made",
        { facts: { group, start, size, lost: first } },
      );
    }
  }

  #list(): string {
    return this.numbers.join(", ");
  }
}

/**
 * On PowerNV the kernel takes the windows from the group that leaves, and clears all of their TCEs for the others too
 * (drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_detach_group).
 */
function wouldClear(group: number, mapped: bigint): DmaWindowError {
  return new DmaWindowError(
    "ERR_STILL_MAPPED",
    `group ${group} cannot leave while ${bytes(mapped)} are mapped in the container: this kernel clears all maps of the container when a ` +
      "group leaves, also those that other devices use. Unmap them first (detach the memories), or let it stay until the container closes",
    { facts: { group, mapped } },
  );
}

/** The kernel takes a second group into an LPAR's container without a word, and then refuses every map. */
export function checkPlatform(info: IommuInfo, group: number): void {
  if (info.kind !== "spapr" || info.platform !== "pseries") return;
  throw new DmaWindowError(
    "ERR_ONE_GROUP",
    `a container of an LPAR holds one group: the hypervisor has tables for each, so give group ${group} a container of its own`,
    { facts: { group } },
  );
}

/** With the last group of a container its IOMMU goes, and all maps: drivers/vfio/container.c: vfio_group_detach_container. */
export function warnOfGone(groups: readonly number[]): void {
  warn(
    "DMA_WINDOW_GROUPS_GONE",
    `the container's groups (${groups.join(", ")}) had gone when it was closed: their devices were unbound or unplugged, and the kernel had ` +
      "unmapped all by then",
  );
}
