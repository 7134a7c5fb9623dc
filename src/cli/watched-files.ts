/**
 * Which descriptors stand for which container and group, so that what ends with one of them is known. A container's maps
 * live as long as a group is in it, and a group as long as it, or a device of it, is open:
 *
 *     container <──── group <──── device          `drivers/vfio/container.c: vfio_group_detach_container`,
 *     (closing it alone ends nothing)             `drivers/vfio/group.c: vfio_group_fops_release`
 */
import { type Account, accountFor } from "./account.ts";
import type { Tally } from "./live-pages.ts";

class WatchedContainer {
  readonly groups = new Set<WatchedGroup>();
  /** From SET_IOMMU until the last group leaves. */
  account: Account | undefined;
}

class WatchedGroup {
  /** Its own descriptor, and those of its devices. */
  descriptors = 1;
  container: WatchedContainer | undefined;
}

export class WatchedFiles {
  readonly #tally: Tally;
  readonly #files = new Map<number, WatchedContainer | WatchedGroup>();
  readonly #accounts = new Set<Account>();

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  /** Of the containers that have an IOMMU now. */
  get accounts(): Iterable<Account> {
    return this.#accounts;
  }

  /** The account of the container that the descriptor stands for, as long as it has an IOMMU. */
  accountOf(fd: number): Account | undefined {
    const file = this.#files.get(fd);
    return file instanceof WatchedContainer ? file.account : undefined;
  }

  opened(path: string, fd: number): void {
    if (path === "/dev/vfio/vfio") this.#files.set(fd, new WatchedContainer());
    else if (path.startsWith("/dev/vfio/")) this.#files.set(fd, new WatchedGroup());
  }

  /** GROUP_GET_DEVICE_FD gave a descriptor: closing it, and not the group's own, may be what ends the group. */
  openedDevice(groupFd: number, fd: number): void {
    const group = this.#files.get(groupFd);
    if (!(group instanceof WatchedGroup)) return;
    group.descriptors++;
    this.#files.set(fd, group);
  }

  closed(fd: number): void {
    const file = this.#files.get(fd);
    this.#files.delete(fd);
    if (file instanceof WatchedGroup && --file.descriptors === 0) this.#leave(file);
  }

  joined(groupFd: number, containerFd: number): void {
    const group = this.#files.get(groupFd);
    const container = this.#files.get(containerFd);
    if (!(group instanceof WatchedGroup) || !(container instanceof WatchedContainer)) return;
    group.container = container;
    container.groups.add(group);
  }

  left(groupFd: number): void {
    const group = this.#files.get(groupFd);
    if (group instanceof WatchedGroup) this.#leave(group);
  }

  gotIommu(containerFd: number, type: number): void {
    const container = this.#files.get(containerFd);
    if (!(container instanceof WatchedContainer)) return;
    container.account = accountFor(type, this.#tally);
    this.#accounts.add(container.account);
  }

  #leave(group: WatchedGroup): void {
    const { container } = group;
    group.container = undefined;
    container?.groups.delete(group);
    if (container?.account === undefined) return;
    if (container.groups.size > 0) {
      container.account.groupLeft();
      return;
    }
    container.account.pages.lose(0, Number.POSITIVE_INFINITY);
    this.#accounts.delete(container.account);
    container.account = undefined;
  }
}
