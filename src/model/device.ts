import { ENOTTY } from "./errno.ts";
import type { Group } from "./group.ts";
import { OpenFile } from "./open-file.ts";

/**
 * An open device. It keeps its group open and in its container: `drivers/vfio/container.c: vfio_group_use_container`. The
 * calls on a device itself (regions, interrupts, reset) are not on the seam.
 */
export class Device extends OpenFile {
  readonly group: Group;

  constructor(group: Group) {
    super();
    this.group = group;
    group.devicesOpen++;
    group.hold();
  }

  get path(): string {
    return this.group.device;
  }

  /** `drivers/vfio/vfio_main.c: vfio_device_fops_unl_ioctl`, and behind it the bus driver. */
  ioctl(): number {
    return ENOTTY;
  }

  protected released(): void {
    this.group.devicesOpen--;
    this.group.letGo();
  }
}
