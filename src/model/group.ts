import type { Container } from "./container.ts";

/** An IOMMU group: the devices that cannot be told apart by the IOMMU. `/dev/vfio/<number>`. */
export class Group {
  readonly number: number;
  /** It opens once (`drivers/vfio/group.c: vfio_group_fops_open`). */
  open = false;
  container: Container | undefined;
  /** pSeries: firmware refused a window once, and that lasts until the machine is started again. */
  refusedByFirmware = false;

  constructor(number: number) {
    this.number = number;
  }
}
