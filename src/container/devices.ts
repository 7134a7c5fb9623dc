/** The devices of a container that are open, or about to be. */
import { channels, tellDevice } from "../channels.ts";
import { devicesOfGroup, groupOfAddress } from "../device/address.ts";
import type { Device, DeviceKeeper } from "../device/device.ts";
import { deviceFdLater, dropDeviceFd, makeDevice, openDevice } from "../device/open.ts";
import { ERRNO } from "../errno.ts";
import { DmaWindowError } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import type { IommuInfo } from "../iommu.ts";
import { hold, ownerOf, release } from "../open-devices.ts";
import type { Syscalls } from "../syscalls.ts";
import { isVfioDriver } from "../system/groups.ts";
import type { Groups, HeldGroup } from "./groups.ts";

export class Devices {
  readonly #kernel: Syscalls;
  readonly #groups: Groups;
  readonly #iommu: IommuInfo["kind"];
  /** Those that the container was opened for. */
  readonly #named: readonly string[];
  readonly #open = new Map<string, Device>();
  readonly #pending = new Map<string, { readonly device: Promise<Device>; readonly group: number | undefined }>();
  readonly #keeper: DeviceKeeper;
  /** Addresses of those that are closed, could not be stopped, and may be held open by what did not close. */
  readonly loose: string[] = [];

  constructor(kernel: Syscalls, groups: Groups, iommu: IommuInfo["kind"], named: readonly string[]) {
    this.#kernel = kernel;
    this.#groups = groups;
    this.#iommu = iommu;
    this.#named = named;
    this.#keeper = {
      groups: () => groups.held,
      forget: ({ address }, isStopped) => {
        if (!isStopped) this.loose.push(address);
        if (this.#open.delete(address)) release(ownerOf(this.#kernel), address);
      },
    };
  }

  get open(): readonly Device[] {
    return [...this.#open.values()];
  }

  /** Addresses of those that may write to memory now. */
  get running(): readonly string[] {
    return this.open.filter((device) => device.mayWrite).map(({ address }) => address);
  }

  find(address: string): Device | undefined {
    return this.#open.get(address);
  }

  /** In the middle of an operation. */
  device(address: string): Device {
    const held = this.#groupsOf(address);
    for (const [i, { group, fd }] of held.entries()) {
      try {
        return this.#keep(openDevice(this.#kernel, fd, { address, group, iommu: this.#iommu }, this.#keeper));
      } catch (error) {
        if (i === held.length - 1 || !isNotThere(error)) throw error;
      }
    }
    throw this.#noGroups(address);
  }

  /** The same without holding up the event loop, where the kernel interface can. */
  later(address: string): Promise<Device> {
    const found = this.#open.get(address);
    if (found !== undefined) return Promise.resolve(found);
    const pending = this.#pending.get(address);
    if (pending !== undefined) return pending.device;
    const held = this.#groupsOf(address);
    const device = this.#openLater(address, held).finally(() => this.#pending.delete(address));
    this.#pending.set(address, { device, group: held.length === 1 ? held[0]?.group : undefined });
    return device;
  }

  async #openLater(address: string, held: readonly HeldGroup[]): Promise<Device> {
    for (const [i, { group, fd: groupFd }] of held.entries()) {
      const where = { address, group, iommu: this.#iommu };
      const fd = await deviceFdLater(this.#kernel, groupFd, where);
      if (fd === -ERRNO.ENODEV && i < held.length - 1) continue;
      const meanwhile = this.#open.get(address); // by device(), which does not wait
      if (meanwhile === undefined) {
        return exclusively("container.openDevice", () => this.#keep(makeDevice(this.#kernel, fd, where, this.#keeper)));
      }
      const problem = dropDeviceFd(this.#kernel, fd);
      if (problem !== undefined) throw problem;
      return meanwhile;
    }
    throw this.#noGroups(address);
  }

  /** The address of the one device that the container has. @throws `ERR_WHICH_DEVICE`, `ERR_NO_DEVICE`. */
  only(): string {
    const known = this.#named.length > 0 ? this.#named : this.#inGroups();
    const [address, another] = known.length > 0 ? known : [...this.#open.keys()];
    const groups = this.#groups.numbers;
    if (address === undefined) {
      const words = `the machine does not say which devices the groups ${groups.join(", ")} have: name one`;
      throw new DmaWindowError("ERR_NO_DEVICE", words, { facts: { groups } });
    }
    if (another === undefined) return address;
    throw new DmaWindowError("ERR_WHICH_DEVICE", `the container has several devices: name one of ${known.join(", ")}`, {
      facts: { devices: known },
    });
  }

  /** @throws `ERR_BUSY` while one is being opened, or reset, on another thread: of one group, or of all. */
  checkIdle(operation: string, group?: number): void {
    for (const [address, pending] of this.#pending) {
      if (group !== undefined && pending.group !== undefined && pending.group !== group) continue;
      throw new DmaWindowError(
        "ERR_BUSY",
        `${operation} was called while device ${address} is being opened: await container.openDevice() first`,
        { facts: { operation, within: "container.openDevice" } },
      );
    }
    for (const device of this.#open.values()) if (group === undefined || device.group === group) device.checkIdle();
  }

  /** @throws `ERR_DEVICE_OPEN` where a device of the group is. */
  checkClosed(group: number): void {
    const open = this.open.filter((device) => device.group === group).map(({ address }) => address);
    if (open.length === 0) return;
    throw new DmaWindowError(
      "ERR_DEVICE_OPEN",
      `group ${group} has ${open.join(", ")} open, and leaves the container without open devices only: close ${open.length === 1 ? "it" : "them"} first`,
      { facts: { group, devices: open } },
    );
  }

  /** Stops and closes all of them, past what fails. */
  end(): unknown[] {
    return this.open.flatMap((device) => device.end());
  }

  #keep(device: Device): Device {
    this.#open.set(device.address, device);
    hold(ownerOf(this.#kernel), device.address);
    const { address, group } = device;
    if (channels.device.hasSubscribers) tellDevice({ event: "opened", address, group });
    return device;
  }

  /** The one that it is in, or, where the machine does not say, all. @throws `ERR_NOT_IN_CONTAINER`. */
  #groupsOf(address: string): readonly HeldGroup[] {
    const group = groupOfAddress(this.#kernel.files, address);
    if (group === undefined) return this.#groups.held;
    const held = this.#groups.find(group);
    if (held !== undefined) return [held];
    throw new DmaWindowError(
      "ERR_NOT_IN_CONTAINER",
      `device ${address} is in group ${group}, and the container has ${this.#groups.numbers.join(", ")}: container.addGroup(${group}) first`,
      { facts: { address, group, groups: this.#groups.numbers } },
    );
  }

  #inGroups(): string[] {
    return this.#groups.numbers.flatMap((group) =>
      (devicesOfGroup(this.#kernel.files, group) ?? [])
        .filter(({ driver }) => driver === null || isVfioDriver(driver)) // bridges are in groups too
        .map(({ name }) => name),
    );
  }

  #noGroups(address: string): DmaWindowError {
    return new DmaWindowError("ERR_NO_DEVICE", `the container has no group in which device ${address} could be`, {
      facts: { address },
    });
  }
}

function isNotThere(error: unknown): boolean {
  return error instanceof DmaWindowError && error.errno === -ERRNO.ENODEV;
}
