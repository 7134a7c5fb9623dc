import { VFIO_API_VERSION, VfioCall } from "../syscalls.ts";
import { EINVAL } from "./errno.ts";
import type { Group } from "./group.ts";
import type { IommuDriver } from "./iommu-driver.ts";
import type { MachineKind } from "./machine-kind.ts";
import { OpenFile } from "./open-file.ts";
import type { Process } from "./process.ts";
import type { Struct } from "./structs.ts";

/**
 * `/dev/vfio/vfio`: a set of groups that share an IOMMU's address space. It lives as long as it is open or a group is in
 * it, and has a driver from SET_IOMMU until its last group goes.
 *
 * Rules: `drivers/vfio/container.c`.
 */
export class Container extends OpenFile {
  readonly path = "/dev/vfio/vfio";
  /** Counts containers of this model, to tell them apart in a snapshot. */
  readonly id: number;
  readonly groups: Group[] = [];
  readonly #kind: MachineKind;
  driver: IommuDriver | undefined;

  constructor(id: number, kind: MachineKind) {
    super();
    this.id = id;
    this.#kind = kind;
  }

  get isGone(): boolean {
    return !this.isOpen && this.groups.length === 0;
  }

  /** `vfio_fops_unl_ioctl`. */
  ioctl(call: number, argument: number, struct: Struct | undefined, caller: Process): number {
    switch (call) {
      case VfioCall.GET_API_VERSION:
        return VFIO_API_VERSION;
      case VfioCall.CHECK_EXTENSION:
        return (this.driver ?? this.#kind).checkExtension(argument);
      case VfioCall.SET_IOMMU:
        return this.#setIommu(argument, caller);
      default:
        return this.driver?.ioctl(call, struct, caller) ?? EINVAL;
    }
  }

  /** Its groups keep it. */
  protected released(): void {}

  /** `vfio_ioctl_set_iommu`. */
  #setIommu(type: number, caller: Process): number {
    if (this.groups.length === 0 || this.driver !== undefined) return EINVAL;
    const driver = this.#kind.makeDriver(type, caller);
    if (typeof driver === "number") return driver;
    for (const [index, group] of this.groups.entries()) {
      const refused = driver.attach(group);
      if (refused === 0) continue;
      for (const attached of this.groups.slice(0, index)) driver.detach(attached);
      driver.release();
      return refused;
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
