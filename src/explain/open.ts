/** Opening /dev/vfio/vfio and the nodes of groups. */
import { guards } from "../guards.ts";
import { type Cause, causesOf, type Question } from "./cause.ts";
import { deviceList, driversOf, fileMode, kernelDriver, moduleMissing, openFiles, without } from "./questions.ts";

const NODE = "open /dev/vfio/vfio";
const GROUP = "open group";

/** What lets a program into a container's list of devices. */
const allowDevice =
  "start the container with this device (docker and podman: --device), or add it to DeviceAllow= of its unit";

/** What a container is kept from, and what its list of devices is for. */
const containerGuards = "a container is kept from the devices of the machine, and of other containers";
const listGuards = "the list keeps it from the devices of the machine, and of other containers";

/** The same for every node of VFIO. */
const anyNode = {
  EMFILE: [
    {
      id: "open-files",
      source: "fs/file.c: alloc_fd",
      why: "this process has as many files open as it may",
      guards: guards.openFiles,
      next: "close some, or raise the limit (ulimit -n)",
      ask: openFiles,
    },
  ],
  ENFILE: [
    {
      id: "open-files-of-all",
      source: "fs/file_table.c: alloc_empty_file",
      why: "the whole machine has as many files open as it may",
      guards: guards.openFilesOfAll,
      next: "close some, or raise /proc/sys/fs/file-max",
    },
  ],
  EISDIR: [
    {
      id: "directory",
      source: "fs/namei.c: do_open, may_open",
      why: "a directory is in the node's place, as container tools make one for a path that was not there",
      next: "remove it, load VFIO and bind the devices first, and start the container then",
    },
  ],
  ENOTDIR: [
    {
      id: "no-directory",
      source: "fs/namei.c: link_path_walk",
      why: "/dev/vfio is a file here and not a directory",
      next: "remove it, and load VFIO again",
    },
  ],
  EROFS: [
    {
      id: "plain-file",
      source: "fs/namei.c: sb_permission",
      why: "the node is a plain file on a read-only file system, and no device",
      guards: containerGuards,
      next: "mount a devtmpfs at /dev, or hand the device to the container",
    },
  ],
  ENXIO: [
    {
      id: "wrong-number",
      source: "fs/char_dev.c: chrdev_open",
      why: "no driver has the node's number: it was made by hand, or is left from an earlier start",
      next: "remove it; loading VFIO and binding the devices makes it anew",
    },
  ],
  ENOMEM: [
    {
      id: "kernel-memory",
      source: "drivers/vfio/container.c: vfio_fops_open",
      why: "the kernel has no memory for it, or the memory cgroup allows no more",
      next: "free some",
    },
  ],
} as const;

const security = {
  id: "security-module",
  source: "security/security.c: security_file_open",
  why: "a security policy (SELinux, AppArmor) forbids it",
  guards: "the policy keeps a program from devices that it is not meant to have",
  next: "see the kernel's log for a denial, and allow VFIO's devices for this program there",
} as const;

const nodev = {
  id: "nodev",
  source: "fs/namei.c: may_open_dev",
  why: "the file system of the node is mounted with nodev",
  guards: "that keeps whoever writes to it from making devices of their own",
  next: "mount a devtmpfs at /dev, or hand the device to the container",
} as const;

const sandbox = {
  id: "seccomp",
  source: "kernel/seccomp.c: __seccomp_filter",
  why: "a seccomp filter refuses the call",
  guards: "the filter keeps a broken program from calls that it does not need",
  next: "allow this one in the program's profile, and no more",
  ask: ((machine) =>
    machine.status("Seccomp") === "0"
      ? { verdict: "ruled out", why: "a seccomp filter refuses it: there is none" }
      : undefined) as Question,
} as const;

/** The driver is there, so that what is missing is the node: it was not handed to this container. */
const notHandedOver: Question = (machine) => {
  if (machine.names("/sys/class/misc/vfio") === undefined) return undefined;
  return { verdict: "likely", why: "the kernel has VFIO, and this program's /dev has no node of it" };
};

const noGroups: Question = (machine, asked) => {
  const groups = machine.names("/sys/kernel/iommu_groups");
  if (groups === undefined) return undefined;
  if (groups.length === 0) return { verdict: "sure" };
  if (typeof asked.group !== "number" || !groups.includes(String(asked.group))) return { verdict: "ruled out" };
  return { verdict: "ruled out", why: "the IOMMU is off: the machine has that group" };
};

const noSuchGroup: Question = (machine, asked) => {
  const groups = machine.names("/sys/kernel/iommu_groups");
  if (groups === undefined || typeof asked.group !== "number") return undefined;
  if (groups.length === 0 || groups.includes(String(asked.group))) return { verdict: "ruled out" };
  const some = groups.slice(0, 8).join(", ");
  return {
    verdict: "sure",
    why: `the machine has no IOMMU group ${asked.group}, but ${some}${groups.length > 8 ? " and others" : ""}`,
  };
};

/** No device of the group is with VFIO. */
const notBound: Question = (machine, asked) => {
  const drivers = driversOf(machine, asked);
  if (drivers === undefined) return undefined;
  const all = [...drivers];
  if (all.some(([, driver]) => driver?.includes("vfio"))) return { verdict: "unlikely" };
  if (all.length === 0) return { verdict: "likely", why: `group ${asked.group} has no devices` };
  const who = all.map(
    ([name, driver]) => `${name} ${driver === undefined ? "has no driver" : `is bound to ${driver}`}`,
  );
  return { verdict: "sure", why: `no device of group ${asked.group} is bound to VFIO (${who.join(", ")})` };
};

/** The node of a group without an IOMMU has another name (`drivers/vfio/group.c: vfio_create_group`). */
const withoutIommu: Question = (machine, { group }) => {
  const nodes = machine.names("/dev/vfio");
  if (nodes === undefined) return undefined;
  const node = `noiommu-${group}`;
  if (!nodes.includes(node)) return { verdict: "ruled out" };
  return {
    verdict: "sure",
    why: `group ${group} has no IOMMU in front of its devices: its node is /dev/vfio/${node}`,
  };
};

/** A device of the group is with VFIO, so its node is somewhere, and not here. */
const boundButNotHere: Question = (machine, asked) => {
  const drivers = driversOf(machine, asked);
  if (drivers === undefined) return undefined;
  const bound = [...drivers].filter(([, driver]) => driver?.includes("vfio")).map(([name]) => name);
  if (bound.length === 0) return { verdict: "unlikely" };
  return {
    verdict: "likely",
    why: `${bound.join(", ")} is bound to VFIO, and this program's /dev has no node of group ${asked.group}`,
  };
};

const notInContainer = {
  id: "not-in-container",
  source: "drivers/vfio/group.c: vfio_create_group",
  why: "the node was not handed to this container",
  guards: containerGuards,
  next: "start the container with it (docker and podman: --device)",
} as const;

export const openCauses: readonly Cause[] = [
  ...causesOf(NODE, {
    ENOENT: [
      {
        id: "module",
        source: "drivers/vfio/container.c: vfio_container_init",
        why: "VFIO is not there",
        next: "load the module vfio (modprobe vfio-pci loads it too), or use modelKernel()",
        ask: moduleMissing("vfio"),
      },
      { ...notInContainer, ask: notHandedOver },
      {
        id: "container-interface",
        since: "6.2",
        source: "drivers/vfio/Kconfig: VFIO_CONTAINER",
        why: "this kernel was built without VFIO's containers, for iommufd alone",
        next: "take a kernel with CONFIG_VFIO_CONTAINER, or with CONFIG_IOMMUFD_VFIO_CONTAINER",
      },
    ],
    ENODEV: [
      {
        id: "module",
        source: "drivers/char/misc.c: misc_open",
        why: "VFIO's node is there but not its driver",
        next: "load the module vfio",
      },
    ],
    EACCES: [
      {
        id: "mode",
        source: "fs/namei.c: generic_permission",
        why: "this user may not open it",
        guards: "who may open it may drive the devices of VFIO whose groups they may open too",
        next: "give the node to a group of users that may have devices, by a rule of udev, or run as root",
        ask: fileMode,
      },
      security,
      nodev,
    ],
    EPERM: [
      {
        id: "device-cgroup",
        source: "security/device_cgroup.c: devcgroup_check_permission",
        why: "a security policy forbids it, as a container's list of devices (device cgroup) does",
        guards: listGuards,
        next: `the devices of VFIO are major 10 and a major of its own: ${allowDevice}`,
        ask: deviceList,
      },
      sandbox,
    ],
    EBUSY: [
      {
        id: "other-driver",
        source: "fs/char_dev.c: chrdev_open",
        why: "something else than VFIO holds the node",
        next: "see what the device is (ls -l, and /proc/misc)",
      },
    ],
    ...anyNode,
  }),
  ...causesOf(GROUP, {
    ENOENT: [
      {
        id: "not-bound",
        iommu: ["spapr", "type1"],
        source: "drivers/vfio/group.c: vfio_create_group, vfio_group_fops_open",
        why: "no such group is bound to VFIO",
        next: "bind every device of the group to vfio-pci first (one without an IOMMU, whose device reaches all memory, needs noIommu: true)",
        ask: notBound,
      },
      {
        id: "iommu-off",
        iommu: ["spapr", "type1"],
        source: "drivers/iommu/iommu.c: iommu_probe_device",
        why: "the machine has no IOMMU in use",
        next: "turn the IOMMU on in the firmware's setup (VT-d, AMD-Vi, SMMU) and on the kernel's command line (intel_iommu=on)",
        ask: noGroups,
      },
      { ...notInContainer, ask: boundButNotHere },
      {
        id: "no-such-group",
        iommu: ["spapr", "type1"],
        source: "drivers/iommu/iommu.c: iommu_group_alloc",
        why: "the machine has no group of that number",
        next: "take the group of your device: readlink /sys/bus/pci/devices/<address>/iommu_group",
        ask: noSuchGroup,
      },
      {
        id: "no-iommu",
        iommu: ["spapr", "type1"],
        source: "drivers/vfio/group.c: vfio_create_group",
        why: "the group has no IOMMU in front of its devices",
        guards: "without one a device reaches all memory, whatever is mapped, and the kernel is tainted",
        next: "where that is meant, openContainer({ ..., noIommu: true })",
        ask: withoutIommu,
      },
      {
        id: "unsafe-mode",
        iommu: ["noiommu"],
        source: "drivers/vfio/group.c: vfio_noiommu_group_alloc",
        why: "no such group",
        guards: "without an IOMMU a device reaches all memory, and the kernel is tainted",
        next: "where that is meant, load vfio with enable_unsafe_noiommu_mode=1, then bind every device of the group to vfio-pci",
        ask: (machine) =>
          machine.parameter("vfio", "enable_unsafe_noiommu_mode") === "Y"
            ? { verdict: "likely", why: "no such group is bound to VFIO", next: "bind its device to vfio-pci" }
            : undefined,
      },
      {
        id: "group-interface",
        since: "6.4",
        source: "drivers/vfio/Kconfig: VFIO_GROUP",
        why: "this kernel was built without VFIO's groups, for iommufd alone",
        next: "take a kernel with CONFIG_VFIO_GROUP",
      },
    ],
    EACCES: [
      {
        id: "mode",
        source: "fs/namei.c: generic_permission",
        why: "this user may not open it",
        guards: "who may open it drives the devices of the group, as nobody else should",
        next: "give the node under /dev/vfio to this user, by a rule of udev, or run as root",
        ask: fileMode,
      },
      security,
      nodev,
    ],
    EPERM: [
      {
        id: "rawio",
        iommu: ["noiommu"],
        source: "drivers/vfio/group.c: vfio_group_fops_open",
        why: "a no-IOMMU group needs CAP_SYS_RAWIO",
        guards: "its device reaches all memory, so that only root may have it",
        next: "run as root",
        ask: without("SYS_RAWIO", "a no-IOMMU group needs CAP_SYS_RAWIO"),
      },
      {
        id: "device-cgroup",
        source: "security/device_cgroup.c: devcgroup_check_permission",
        why: "a list of devices that a container or a unit may open (device cgroup) does not have this group, whoever asks",
        guards: listGuards,
        next: allowDevice,
        ask: deviceList,
      },
      sandbox,
    ],
    EBUSY: [
      {
        id: "other-opener",
        source: "drivers/vfio/group.c: vfio_group_fops_open",
        why: "a group opens once: another program, or an earlier container of this one, still holds it",
        next: "see which with fuser -v on the node, and end it, or close that container",
      },
      {
        id: "device-opened",
        since: "6.6",
        source: "drivers/vfio/group.c: vfio_group_fops_open",
        why: "a program holds a device of the group by its own node under /dev/vfio/devices (iommufd)",
        next: "end it: a group and its devices are not open at once",
      },
      {
        id: "other-driver",
        before: "5.19",
        source: "drivers/vfio/vfio.c: vfio_group_fops_open",
        why: "a device of the group is in use by another driver",
        next: "bind every device of the group to vfio-pci",
        ask: kernelDriver,
      },
    ],
    ENODEV: [
      {
        id: "group-gone",
        source: "drivers/vfio/group.c: vfio_group_fops_open",
        why: "the group has gone: its last device was unbound or taken out",
        next: "bind the devices to vfio-pci again",
      },
    ],
    ...anyNode,
  }),
];
