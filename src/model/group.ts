import { GroupFlag, VfioCall } from "../syscalls.ts";
import { Container, type MemberGroup } from "./container.ts";
import { Device, type DeviceGroup } from "./device.ts";
import type { VfioDevice } from "./devices/vfio-device.ts";
import type { DmaFault, DmaRequester } from "./dma/device.ts";
import { EBADF, EBADFD, EBUSY, EFAULT, EINVAL, ENODEV, ENOTTY, EPERM } from "./errno.ts";
import { ModelUnknown } from "./errors.ts";
import type { LinuxRules } from "./linux-rules.ts";
import { type Caller, OpenFile } from "./open-file.ts";
import { PAGE_BYTES } from "./pages.ts";
import type { Iommu } from "./reach.ts";
import { GroupStatus, type Struct } from "./structs.ts";

/**
 * An IOMMU group: the devices that cannot be told apart by the IOMMU. `/dev/vfio/<number>`; a device without an IOMMU has a
 * group of its own, `/dev/vfio/noiommu-<number>`, which the kernel made up for it.
 *
 * Rules: `drivers/vfio/group.c: vfio_group_fops_unl_ioctl, vfio_group_fops_release`.
 */
export class Group extends OpenFile implements MemberGroup, DeviceGroup, DmaRequester {
  readonly number: number;
  readonly path: string;
  /** No IOMMU stands between its device and memory. */
  readonly noIommu: boolean;
  container: Container | undefined;
  devicesOpen = 0;
  refusedByFirmware = false;
  /** The devices in it that are bound to VFIO. */
  readonly devices: VfioDevice[] = [];
  readonly kernelDrivers = new Set<string>();
  readonly #rules: LinuxRules;
  readonly #order = new Set<VfioDevice>();
  #named = "";

  constructor(number: number, noIommu: boolean, rules: LinuxRules) {
    super();
    this.#rules = rules;
    this.number = number;
    this.noIommu = noIommu;
    this.path = `/dev/vfio/${noIommu ? "noiommu-" : ""}${number}`;
  }

  override get isGroup(): boolean {
    return true;
  }

  get isOwned(): boolean {
    return this.container !== undefined;
  }

  /** No device of it is VFIO's any more: what it was is a name without a group. */
  get isGone(): boolean {
    return this.devices.length === 0;
  }

  /** The first of its devices, as the bus names it; the name that it had, where it has none any more. */
  get device(): string {
    this.#named = this.devices[0]?.address ?? this.#named;
    return this.#named;
  }

  /** 0 where it can be opened: once, and without an IOMMU only by who may reach all memory. (`vfio_group_fops_open`) */
  admit(caller: Caller): number {
    if (this.noIommu && !caller.mayReachAllMemory) return EPERM;
    return this.isOpen ? EBUSY : 0;
  }

  /** Its devices stay in the order in which they came first. */
  gained(device: VfioDevice): void {
    this.#order.add(device);
    this.devices.push(device);
    const order = [...this.#order];
    this.devices.sort((a, b) => order.indexOf(a) - order.indexOf(b));
  }

  /** With its last device the group goes: out of its container, and with it what was mapped. (`vfio_device_remove_group`) */
  lost(device: VfioDevice): void {
    this.#named = device.address;
    this.devices.splice(this.devices.indexOf(device), 1);
    if (this.isGone) this.container?.detach(this);
  }

  ioctl(call: number, _argument: number, struct: Struct | undefined, caller: Caller): number {
    switch (call) {
      case VfioCall.GROUP_GET_STATUS:
        return this.#getStatus(struct);
      case VfioCall.GROUP_SET_CONTAINER:
        return this.#setContainer(struct, caller);
      case VfioCall.GROUP_UNSET_CONTAINER:
        return this.#unsetContainer();
      case VfioCall.GROUP_GET_DEVICE_FD:
        return this.#getDevice(struct, caller);
      default:
        return ENOTTY;
    }
  }

  get iommu(): Iommu | DmaFault["why"] {
    if (this.container === undefined) return "the group is in no container";
    return this.container.driver ?? "its container has no IOMMU driver";
  }

  protected released(): void {
    this.container?.detach(this);
  }

  /** `vfio_group_ioctl_get_status`: it is viable while no driver of the kernel has a device of it. */
  #getStatus(struct: Struct | undefined): number {
    if (struct === undefined) return EFAULT;
    struct.need(GroupStatus.BYTES);
    if (struct.argsz < GroupStatus.BYTES) return EINVAL;
    if (this.isGone) return ENODEV;
    const viable = this.kernelDrivers.size === 0 ? GroupFlag.VIABLE : 0;
    struct.setU32(4, viable | (this.container === undefined ? 0 : GroupFlag.CONTAINER_SET));
    return 0;
  }

  /** `vfio_group_ioctl_set_container`: its argument points to an int, the container's descriptor. */
  #setContainer(struct: Struct | undefined, caller: Caller): number {
    if (struct === undefined) return EFAULT;
    struct.need(4);
    const file = caller.descriptors.get(struct.i32(0));
    if (file === undefined) return EBADF;
    if (this.container !== undefined) return EINVAL;
    if (this.isGone) return ENODEV;
    if (this.kernelDrivers.size > 0 && file instanceof Container) return this.#refuseToShare();
    if (file instanceof Container) return file.attach(this, caller);
    return this.#rules.saysBadFile ? EBADFD : EINVAL;
  }

  /** `drivers/iommu/iommu.c: iommu_group_claim_dma_owner`; before that was there the group went in, and its devices did not open. */
  #refuseToShare(): number {
    if (this.#rules.claimsDma) return EBUSY;
    throw new ModelUnknown(
      `a container takes group ${this.number}, of which a driver of the kernel has a device, before Linux 5.19`,
    );
  }

  /** `vfio_group_ioctl_unset_container`. */
  #unsetContainer(): number {
    if (this.container === undefined) return EINVAL;
    if (this.devicesOpen > 0) return EBUSY;
    this.container.detach(this);
    return 0;
  }

  /** `vfio_group_ioctl_get_device_fd`: its argument is a name. The name is looked at first. */
  #getDevice(struct: Struct | undefined, caller: Caller): number {
    if (struct === undefined) return EFAULT;
    const found = this.#find(struct.name(), caller.pageUnit * PAGE_BYTES);
    if (typeof found === "number") return found;
    if (this.container?.driver === undefined) return EINVAL;
    // `drivers/vfio/container.c: vfio_group_use_container`.
    if (this.noIommu && !caller.mayReachAllMemory) return EPERM;
    return caller.descriptors.add(new Device(this, found));
  }

  /**
   * The device that has a name. It may have options behind it, of which there is one, a VF token, and none for a device that
   * has nothing to do with virtual functions. (`mm/util.c: strndup_user`, `drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_match,
   * vfio_pci_validate_vf_token`)
   */
  #find(name: string, longest: number): VfioDevice | number {
    if (name.length >= longest) return EINVAL;
    // One that somebody waits to unbind is not given out any more. (`drivers/vfio/vfio_main.c: vfio_unregister_group_dev`)
    const found = this.devices.find(
      ({ address, isLeaving }) => !isLeaving && (name === address || name.startsWith(`${address} `)),
    );
    if (found === undefined) return ENODEV;
    return /^ *$/.test(name.slice(found.address.length)) ? found : EINVAL;
  }
}
