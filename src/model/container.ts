import { IommuType, VFIO_API_VERSION, VfioCall } from "../syscalls.ts";
import { EINVAL, ENODEV } from "./errno.ts";
import { ModelUnknown } from "./errors.ts";
import type { Group } from "./group.ts";
import type { SpaprDriver } from "./spapr/driver.ts";
import type { Struct } from "./structs.ts";

/**
 * `/dev/vfio/vfio`: a set of groups that share windows. It lives as long as its descriptor is open or a group is in it,
 * and has a driver from SET_IOMMU until its last group goes.
 *
 * Rules: `drivers/vfio/container.c`.
 */
export class Container {
  /** Counts containers of this model, to tell them apart in a snapshot. */
  readonly id: number;
  readonly groups: Group[] = [];
  readonly #extensions: readonly number[];
  readonly #makeDriver: (container: Container) => SpaprDriver;
  driver: SpaprDriver | undefined;
  /** Its descriptor, while that is open. */
  fd: number | undefined;

  constructor(id: number, extensions: readonly number[], makeDriver: (container: Container) => SpaprDriver) {
    this.id = id;
    this.#extensions = extensions;
    this.#makeDriver = makeDriver;
  }

  get isGone(): boolean {
    return this.fd === undefined && this.groups.length === 0;
  }

  /** `vfio_fops_unl_ioctl`. `argument` is what the call was given when that was a number. */
  ioctl(call: number, argument: number, struct: Struct | undefined): number {
    switch (call) {
      case VfioCall.GET_API_VERSION:
        return VFIO_API_VERSION;
      case VfioCall.CHECK_EXTENSION:
        return this.#extensions.includes(argument) ? 1 : 0;
      case VfioCall.SET_IOMMU:
        return this.#setIommu(argument);
      default:
        return this.driver?.ioctl(call, struct) ?? EINVAL;
    }
  }

  /** `vfio_ioctl_set_iommu`. */
  #setIommu(type: number): number {
    if (this.groups.length === 0 || this.driver !== undefined) return EINVAL;
    if (!this.#extensions.includes(type)) return ENODEV;
    if (type === IommuType.SPAPR_TCE) throw new ModelUnknown("SET_IOMMU to sPAPR TCE v1: only v2 is modelled");
    // EEH is an extension, and no driver: `tce_iommu_open`.
    if (type !== IommuType.SPAPR_TCE_V2) return EINVAL;
    const driver = this.#makeDriver(this);
    for (const group of this.groups) {
      // A driver without windows takes every group.
      driver.attach(group);
    }
    this.driver = driver;
    return 0;
  }

  /** `vfio_container_attach_group`. */
  attach(group: Group): number {
    const refused = this.driver?.attach(group) ?? 0;
    if (refused !== 0) return refused;
    this.groups.push(group);
    group.container = this;
    return 0;
  }

  /** `vfio_group_detach_container`: with the last group the driver goes, and everything it held. */
  detach(group: Group): void {
    this.groups.splice(this.groups.indexOf(group), 1);
    group.container = undefined;
    this.driver?.detach(group);
    if (this.groups.length > 0) return;
    this.driver?.release();
    this.driver = undefined;
  }
}
