import { VFIO_API_VERSION, VfioCall } from "../syscalls.ts";
import type { DriverModule } from "./driver-module.ts";
import { EINVAL, ENODEV, EPERM } from "./errno.ts";
import type { Counting } from "./inspect/counters.ts";
import { IovaReports, type Watchers } from "./inspect/watch.ts";
import type { AttachedGroup, IommuDriver } from "./iommu-driver.ts";
import { type Caller, OpenFile } from "./open-file.ts";
import type { Struct } from "./structs.ts";

/** A group as a container knows it. */
export interface MemberGroup extends AttachedGroup {
  readonly number: number;
  readonly noIommu: boolean;
  container: Container | undefined;
}

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
  readonly groups: MemberGroup[] = [];
  readonly #modules: readonly DriverModule[];
  readonly #reports: IovaReports;
  driver: IommuDriver | undefined;

  constructor(id: number, modules: readonly DriverModule[], watchers: Watchers, counting: Counting) {
    super();
    this.id = id;
    this.#reports = new IovaReports(watchers, counting, id);
    this.#modules = modules;
  }

  get isGone(): boolean {
    return !this.isOpen && this.groups.length === 0;
  }

  /** `vfio_fops_unl_ioctl`. */
  ioctl(call: number, argument: number, struct: Struct | undefined, caller: Caller): number {
    switch (call) {
      case VfioCall.GET_API_VERSION:
        return VFIO_API_VERSION;
      case VfioCall.CHECK_EXTENSION:
        return this.#checkExtension(argument);
      case VfioCall.SET_IOMMU:
        return this.#setIommu(argument, caller);
      default:
        return this.driver?.ioctl(call, struct, caller) ?? EINVAL;
    }
  }

  /** Its groups keep it. */
  protected released(): void {}

  /** `vfio_container_ioctl_check_extension`: without a driver every one that may serve the groups is asked. */
  #checkExtension(extension: number): number {
    if (this.driver !== undefined) return this.driver.checkExtension(extension);
    const asked = this.#modules.filter((module) => this.groups.length === 0 || this.#mayServe(module));
    return asked.map((module) => module.checkExtension(extension)).find((answer) => answer > 0) ?? 0;
  }

  /** `vfio_ioctl_set_iommu`: the first driver that knows the type and takes all groups; the answer is the last one's. */
  #setIommu(type: number, caller: Caller): number {
    if (this.groups.length === 0 || this.driver !== undefined) return EINVAL;
    let answer = ENODEV;
    for (const module of this.#modules) {
      if (!this.#mayServe(module) || module.checkExtension(type) <= 0) continue;
      const driver = module.open(type, caller, this.#reports);
      answer = typeof driver === "number" ? driver : this.#attachAll(driver);
      if (answer !== 0) continue;
      this.driver = driver as IommuDriver;
      return 0;
    }
    return answer;
  }

  /** `vfio_iommu_driver_allowed`. All groups of a container are of one kind. */
  #mayServe(module: DriverModule): boolean {
    return module.noIommu === (this.groups[0]?.noIommu ?? false);
  }

  /** `__vfio_container_attach_groups`. */
  #attachAll(driver: IommuDriver): number {
    for (const [index, group] of this.groups.entries()) {
      const refused = driver.attach(group);
      if (refused === 0) continue;
      for (const attached of this.groups.slice(0, index)) driver.detach(attached);
      driver.release();
      return refused;
    }
    return 0;
  }

  /** `vfio_container_attach_group`. */
  attach(group: MemberGroup, caller: Caller): number {
    if (group.noIommu && !caller.mayReachAllMemory) return EPERM;
    const [neighbour] = this.groups;
    if (neighbour !== undefined && neighbour.noIommu !== group.noIommu) return EPERM;
    const refused = this.driver?.attach(group) ?? 0;
    if (refused !== 0) return refused;
    this.groups.push(group);
    group.container = this;
    return 0;
  }

  /** `vfio_group_detach_container`: with the last group the driver goes, and everything it held. */
  detach(group: MemberGroup): void {
    this.groups.splice(this.groups.indexOf(group), 1);
    group.container = undefined;
    this.driver?.detach(group);
    if (this.groups.length > 0) return;
    this.driver?.release();
    this.driver = undefined;
  }
}
