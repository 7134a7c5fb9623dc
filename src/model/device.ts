import { ENOTTY } from "./errno.ts";
import { OpenFile } from "./open-file.ts";

/** The group of a device, as the open device knows it. */
export interface DeviceGroup {
  readonly number: number;
  /** The device that is in it, as the bus names it. */
  readonly device: string;
  /** Devices of it that are open. */
  devicesOpen: number;
  hold(): void;
  release(): void;
}

/**
 * An open device. It keeps its group open and in its container: `drivers/vfio/container.c: vfio_group_use_container`. The
 * calls on a device itself (regions, interrupts, reset) are not on the seam.
 */
export class Device extends OpenFile {
  readonly group: DeviceGroup;

  constructor(group: DeviceGroup) {
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
    this.group.release();
  }
}
