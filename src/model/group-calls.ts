import { GroupFlag, VfioCall } from "../syscalls.ts";
import { Container } from "./container.ts";
import type { Descriptors } from "./descriptors.ts";
import { EBADF, EBADFD, EFAULT, EINVAL, ENOTTY } from "./errno.ts";
import { ModelUnknown } from "./errors.ts";
import type { Group } from "./group.ts";
import { GroupStatus, type Struct } from "./structs.ts";

/** The ioctls of `/dev/vfio/<group>`. Rule: `drivers/vfio/group.c: vfio_group_fops_unl_ioctl`. */
export function groupIoctl(group: Group, call: number, struct: Struct | undefined, descriptors: Descriptors): number {
  switch (call) {
    case VfioCall.GROUP_GET_STATUS:
      return getStatus(group, struct);
    case VfioCall.GROUP_SET_CONTAINER:
      return setContainer(group, struct, descriptors);
    case VfioCall.GROUP_UNSET_CONTAINER:
      if (group.container === undefined) return EINVAL;
      group.container.detach(group);
      return 0;
    case VfioCall.GROUP_GET_DEVICE_FD:
      throw new ModelUnknown("GROUP_GET_DEVICE_FD: there are no devices in a model's groups");
    default:
      return ENOTTY;
  }
}

/** `vfio_group_ioctl_get_status`. All devices of a model's group are bound to VFIO, so it is viable. */
function getStatus(group: Group, struct: Struct | undefined): number {
  if (struct === undefined) return EFAULT;
  struct.need(GroupStatus.BYTES);
  if (struct.argsz < GroupStatus.BYTES) return EINVAL;
  struct.setU32(4, GroupFlag.VIABLE | (group.container === undefined ? 0 : GroupFlag.CONTAINER_SET));
  return 0;
}

/** `vfio_group_ioctl_set_container`: its argument points to an int, the container's descriptor. */
function setContainer(group: Group, struct: Struct | undefined, descriptors: Descriptors): number {
  if (struct === undefined) return EFAULT;
  struct.need(4);
  const file = descriptors.get(struct.i32(0));
  if (file === undefined) return EBADF;
  if (group.container !== undefined) return EINVAL;
  return file instanceof Container ? file.attach(group) : EBADFD;
}
