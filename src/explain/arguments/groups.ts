/** What is checked where groups are opened, put into containers, and asked for devices; and of CHECK_EXTENSION and SET_IOMMU. */
import { type Asked, type Cause, causesOf, othersOf, POSITIVE, SUCCESS } from "../cause.ts";
import { known, operand, text } from "../facts.ts";
import { tooShort } from "./structs.ts";

const CONTAINER = "drivers/vfio/container.c";
const TYPE1 = "drivers/vfio/vfio_iommu_type1.c";
const TCE = "drivers/vfio/vfio_iommu_spapr_tce.c";
const SET_CONTAINER = "drivers/vfio/group.c: vfio_group_ioctl_set_container";
const EXTENSION = `${CONTAINER}: vfio_container_ioctl_check_extension, vfio_noiommu_ioctl; ${TYPE1}: vfio_iommu_type1_check_extension; ${TCE}: tce_iommu_ioctl`;

/** SPAPR_TCE, SPAPR_TCE_V2, EEH; TYPE1, TYPE1v2; NESTING; NOIOMMU. */
const [SPAPR_TYPES, EEH, NESTING] = [[2n, 7n], 5n, 6n] as const;

const isType = (asked: Asked, is: (type: bigint) => boolean) => {
  const type = operand(asked, "argument");
  return type === undefined ? undefined : is(type);
};

const isNode = /^\/dev\/vfio\/(vfio|(noiommu-)?(0|[1-9]\d*))$/;

/** Whether the path can be a node of VFIO's. */
function isOddPath(asked: Asked): string | boolean | undefined {
  const path = text(asked, "path");
  return path === undefined ? undefined : !isNode.test(path) && path !== "" && `the path is ${JSON.stringify(path)}`;
}

const noContainer = {
  id: "no-container",
  why: "the descriptor that was given leads to a file that is no container",
  next: "give the descriptor of /dev/vfio/vfio",
} as const;

export const groupArguments: readonly Cause[] = [
  ...othersOf("open group", {
    ENOENT: [
      {
        id: "path",
        mistake: true,
        source: "drivers/vfio/group.c: vfio_create_group, vfio_group_fops_open",
        why: "the path is none of VFIO's: they are /dev/vfio/26, and /dev/vfio/noiommu-26 where there is no IOMMU, without a 0 before the number",
        next: "readlink /sys/bus/pci/devices/<address>/iommu_group says the number",
        holds: isOddPath,
      },
      {
        id: "empty-path",
        mistake: true,
        source: "fs/namei.c: getname_flags",
        why: "the path is empty",
        next: "give a path",
        holds: (asked) => (text(asked, "path") === undefined ? undefined : text(asked, "path") === ""),
      },
      {
        id: "needs-prefix",
        iommu: ["noiommu"],
        source: "drivers/vfio/group.c: vfio_create_group, vfio_group_fops_open",
        why: "the group has no IOMMU: its node is /dev/vfio/noiommu-<number>",
        next: "open that",
        holds: (asked) => {
          const path = text(asked, "path");
          return path === undefined ? undefined : /^\/dev\/vfio\/\d+$/.test(path);
        },
      },
    ],
    EBUSY: [
      {
        id: "device-still-open",
        source: "drivers/vfio/group.c: vfio_group_fops_open, vfio_device_group_close",
        why: "the group's descriptor was closed, and a device of it is still open, which keeps the group open",
        next: "close the device's descriptor and unmap its regions",
        holds: (asked) => {
          const [group, device] = [known(asked, "groupOpen"), known(asked, "deviceOpen")];
          return group === undefined || device === undefined ? undefined : !group && device;
        },
      },
    ],
  }),
  ...othersOf("VFIO_GROUP_GET_STATUS", {
    EINVAL: [tooShort(8, "drivers/vfio/group.c: vfio_group_ioctl_get_status")],
  }),
  ...causesOf("VFIO_GROUP_GET_STATUS", {
    [SUCCESS]: [
      {
        id: "not-viable",
        source: "drivers/vfio/group.c: vfio_group_ioctl_get_status; drivers/vfio/vfio.c: vfio_group_viable",
        why: "flags are without VIABLE (1): a device of the group is with a driver of the kernel, and all devices of a group reach what one of them does",
        next: "bind every device of the group to vfio-pci, bridges aside: ls /sys/kernel/iommu_groups/<group>/devices",
      },
    ],
  }),
  ...othersOf("VFIO_GROUP_SET_CONTAINER", {
    EINVAL: [
      {
        ...noContainer,
        before: "6.2",
        source: SET_CONTAINER,
        holds: (asked) => {
          const other = known(asked, "other");
          return other === undefined ? undefined : other !== "container" && other !== "closed";
        },
      },
    ],
    EBADF: [
      {
        id: "not-open",
        source: SET_CONTAINER,
        why: "the descriptor that was given is not open",
        next: "give the descriptor of /dev/vfio/vfio",
      },
    ],
    EBADFD: [
      {
        ...noContainer,
        since: "6.2",
        source: `${SET_CONTAINER}; ${CONTAINER}: vfio_container_from_file`,
      },
    ],
    ENOTTY: [
      {
        id: "ioctl-number",
        mistake: true,
        source: "fs/ioctl.c: vfs_ioctl; drivers/vfio/group.c: vfio_group_fops_unl_ioctl",
        why: "the call's number is another one: VFIO's are _IO(';', 100 + n), without a size in them, 0x3b68 on x86 and Arm and 0x20003b68 on POWER",
        next: "take the number from <linux/vfio.h>",
      },
    ],
    EPERM: [],
  }),
  ...othersOf("VFIO_GROUP_GET_DEVICE_FD", {
    EINVAL: [
      {
        id: "name-too-long",
        source: "drivers/vfio/group.c: vfio_group_ioctl_get_device_fd",
        why: "the name is longer than a page of the CPU",
        next: "give the device's address, as 0000:01:00.0",
        holds: (asked) => {
          const name = text(asked, "name");
          return name === undefined ? undefined : name.length >= Number(known(asked, "cpuPage") ?? 4096n);
        },
      },
    ],
    ENODEV: [
      {
        id: "leaving",
        source: "drivers/vfio/vfio_main.c: vfio_unregister_group_dev",
        why: "the device is being unbound, and waits for whoever has it open",
        next: "close it, and let it go",
      },
    ],
  }),
  ...othersOf("VFIO_CHECK_EXTENSION", {
    [POSITIVE]: [
      {
        id: "there",
        source: EXTENSION,
        why: "this is success: the container has the extension; 1 is yes",
      },
    ],
    [SUCCESS]: [
      {
        id: "not-there",
        source: EXTENSION,
        why: "0 is no: the module of that IOMMU is not loaded, the container's groups have another one, or there is no IOMMU",
        next: "put a group in before asking; load vfio_iommu_type1 (x86, Arm) or vfio_iommu_spapr_tce (POWER)",
      },
    ],
  }),
  ...othersOf("VFIO_SET_IOMMU", {
    EINVAL: [
      {
        id: "set-already",
        source: `${CONTAINER}: vfio_ioctl_set_iommu`,
        why: "the container has its IOMMU already",
        next: "call it once; UNSET_CONTAINER of the last group takes it away",
        holds: (asked) => known(asked, "hasIommu"),
      },
      {
        id: "eeh",
        iommu: ["spapr"],
        source: `${TCE}: tce_iommu_open`,
        why: "EEH (5) is an extension and no IOMMU",
        next: "set SPAPR_TCE_v2 (7)",
        holds: (asked) => isType(asked, (type) => type === EEH),
      },
      {
        id: "nesting",
        iommu: ["type1"],
        before: "6.13",
        source: `${TYPE1}: vfio_iommu_type1_open`,
        why: "the IOMMU does no nesting (6)",
        next: "set TYPE1v2 (3)",
        holds: (asked) => isType(asked, (type) => type === NESTING),
      },
    ],
    ENODEV: [
      {
        id: "other-type",
        source: `${CONTAINER}: vfio_ioctl_set_iommu`,
        why: "no driver of this machine's VFIO has that type: 1 and 3 are type1, 2 and 7 sPAPR TCE, 8 no IOMMU",
        next: "ask by CHECK_EXTENSION first",
        holds: (asked) => {
          const platform = known(asked, "platform");
          if (platform === undefined) return undefined;
          const own = platform === "type1" ? [1n, 3n] : platform === "noiommu" ? [8n] : SPAPR_TYPES;
          return isType(asked, (type) => !(own as readonly bigint[]).includes(type));
        },
      },
    ],
  }),
];
