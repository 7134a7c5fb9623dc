/** Calls on a group: its status, its container, its devices. */
import { guards } from "../guards.ts";
import { type Cause, causesOf, type Question } from "./cause.ts";
import { known, text } from "./facts.ts";
import { kernelDriver, without } from "./questions.ts";

/** IOVAs that firmware wants mapped to themselves: reserved_regions names them `direct`. */
export const reservedRegions: Question = (machine, { group }) => {
  const groups = typeof group === "number" ? [group] : machine.names("/sys/kernel/iommu_groups")?.map(Number);
  let read = false;
  for (const one of groups ?? []) {
    const text = machine.text(`/sys/kernel/iommu_groups/${one}/reserved_regions`);
    if (text === undefined) continue;
    read = true;
    const direct = text
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , kind]) => kind === "direct")
      .map(([start = "", last = ""]) => `${trimmed(start)}-${trimmed(last)}`);
    if (direct.length === 0) continue;
    return {
      verdict: "likely",
      why: `firmware keeps memory of its own for a device of group ${one} (RMRR: ${direct.slice(0, 4).join(", ")} in reserved_regions), and the kernel gives no such device away`,
    };
  }
  return read ? { verdict: "unlikely" } : undefined;
};

function trimmed(address: string): string {
  return address.replace(/^0x0+(?=[0-9a-f])/i, "0x");
}

export const firmwareMemory = {
  id: "reserved-regions",
  iommu: ["type1"],
  why: "firmware asks for reserved memory that stays mapped 1:1 for a device of the group (RMRR; the kernel's log, dmesg, says so), and the kernel gives no such device away",
  guards:
    "there the machine's management and the device exchange what they know of each other, and no program may come between them",
  next: "turn off in the firmware's setup what watches the device (HPE: shared memory features of the slot), take another slot or device, or ask the vendor",
  ask: reservedRegions,
} as const;

const structGone =
  "the kernel could not read or write its struct: wasm memory went away under the call, which is a defect of this library";

const groupGone = {
  id: "group-gone",
  since: "6.2",
  source: "drivers/vfio/group.c: vfio_group_ioctl_set_container",
  why: "the group has gone: its last device was unbound or taken out",
  next: "bind the devices to vfio-pci again",
} as const;

const closedBehind = {
  id: "descriptor",
  summary: true,
  source: "drivers/vfio/container.c: vfio_container_from_file",
  why: "the container's descriptor leads elsewhere: it was closed, and opened for another file, behind this library's back",
  next: "let nobody close descriptors that are not theirs",
} as const;

const inUse = {
  id: "other-driver",
  since: "5.19",
  source: "drivers/iommu/iommu.c: iommu_group_claim_dma_owner",
  why: "a driver of the kernel uses a device of the group",
  next: "bind every device of the group to vfio-pci",
  ask: kernelDriver,
} as const;

export const groupCauses: readonly Cause[] = [
  ...causesOf("VFIO_GROUP_GET_STATUS", {
    EINVAL: [
      {
        id: "struct",
        summary: true,
        source: "drivers/vfio/group.c: vfio_group_ioctl_get_status",
        why: "this kernel wants another struct: it is not the VFIO that this library speaks",
      },
    ],
    EFAULT: [{ id: "memory", source: "drivers/vfio/group.c: vfio_group_ioctl_get_status", why: structGone }],
    ENODEV: [{ ...groupGone, source: "drivers/vfio/group.c: vfio_group_ioctl_get_status" }],
  }),
  ...causesOf("VFIO_GROUP_SET_CONTAINER", {
    EINVAL: [
      { ...firmwareMemory, since: "6.6", source: "drivers/iommu/iommu.c: __iommu_device_set_domain" },
      {
        id: "has-container",
        source: "drivers/vfio/group.c: vfio_group_ioctl_set_container",
        why: "the group has a container already",
        next: "close that one first",
        holds: (asked) => known(asked, "groupHasContainer"),
      },
      {
        id: "other-iommu",
        iommu: ["type1"],
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_attach_group",
        why: "the container is in use, and what is mapped in it lies outside the IOVAs of this group",
        next: "give the group a container of its own",
      },
      { ...closedBehind, before: "6.2" },
    ],
    EBADF: [{ ...closedBehind, why: "the container's descriptor was closed behind this library's back" }],
    EBADFD: [closedBehind],
    EFAULT: [{ id: "memory", source: "drivers/vfio/group.c: vfio_group_ioctl_set_container", why: structGone }],
    EPERM: [
      {
        id: "rawio",
        iommu: ["noiommu"],
        source: "drivers/vfio/container.c: vfio_container_attach_group",
        why: "a no-IOMMU group needs CAP_SYS_RAWIO",
        guards: "its device reaches all memory, so that only root may have it",
        next: "run as root",
        ask: without("SYS_RAWIO", "a no-IOMMU group needs CAP_SYS_RAWIO"),
      },
      {
        id: "second-group",
        iommu: ["spapr"],
        source:
          "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_attach_group; arch/powerpc/platforms/pseries/iommu.c: spapr_tce_set_window",
        holds: (asked) => (known(asked, "platform") === "powernv" ? false : undefined),
        why: "a container that has made a window takes no second group on an LPAR",
        next: "give the group a container of its own",
      },
      {
        id: "mixed-groups",
        source: "drivers/vfio/container.c: vfio_container_attach_group",
        why: "groups with and without an IOMMU cannot share a container",
        next: "give each kind a container of its own",
      },
      {
        id: "other-owner",
        since: "5.19",
        source: "drivers/iommu/iommu.c: iommu_group_claim_dma_owner",
        why: "another program has the group's DMA already, by iommufd or another container",
        next: "end it",
      },
    ],
    EBUSY: [
      inUse,
      {
        id: "other-table",
        iommu: ["spapr"],
        source: "drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_attach_group",
        why: "the container's tables are of another kind than the group's, or in use",
        next: "give the group a container of its own",
      },
      {
        id: "other-domain",
        source: "drivers/iommu/iommu.c: __iommu_attach_group",
        why: "the group is attached to another IOMMU domain, of a program or of the kernel",
        next: "see who holds it with fuser -v on /dev/vfio/*",
      },
    ],
    ENODEV: [
      groupGone,
      {
        id: "no-iommu-api",
        source: "drivers/vfio/container.c: vfio_container_attach_group",
        why: "the IOMMU's driver does not take the group",
        next: "see the kernel's log (dmesg)",
      },
    ],
    ENOMEM: [
      {
        id: "kernel-memory",
        source: "drivers/iommu/iommu.c: __iommu_group_alloc_blocking_domain",
        why: "the kernel has no memory for a domain of the IOMMU",
        next: "free some",
      },
    ],
    ENOTTY: [
      {
        id: "container-interface",
        summary: true,
        since: "6.2",
        source: "drivers/vfio/group.c: vfio_group_fops_unl_ioctl",
        why: "the descriptor is no group of VFIO",
        next: "open it through openContainer",
      },
    ],
  }),
  ...causesOf("VFIO_GROUP_UNSET_CONTAINER", {
    EINVAL: [
      {
        id: "no-container",
        source: "drivers/vfio/group.c: vfio_group_ioctl_unset_container",
        why: "the group has no container",
      },
    ],
    EBUSY: [
      {
        id: "device-open",
        source:
          "drivers/vfio/group.c: vfio_group_ioctl_unset_container; drivers/vfio/container.c: vfio_group_detach_container",
        why: "a device of the group is still open",
        next: "close its descriptors, and unmap its regions, first",
      },
    ],
  }),
  ...causesOf("VFIO_GROUP_GET_DEVICE_FD", {
    EINVAL: [
      {
        id: "no-container",
        source: "drivers/vfio/group.c: vfio_group_ioctl_get_device_fd, vfio_device_group_open",
        holds: (asked) => {
          const has = known(asked, "hasIommu");
          return has === undefined ? undefined : !has;
        },
        why: "the group is in no container that has its IOMMU",
        next: "SET_CONTAINER and SET_IOMMU come first",
      },
      {
        id: "name",
        source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_match, vfio_pci_validate_vf_token",
        holds: (asked) => {
          const name = text(asked, "name");
          return name === undefined ? undefined : /^\S+ \s*\S/.test(name);
        },
        why: "the name has more behind the device's address",
        next: "give the address alone, as 0000:01:00.0",
      },
      {
        id: "vf-token",
        source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_validate_vf_token",
        why: "the device needs no token of virtual functions, and one was given",
        next: "leave it out",
      },
    ],
    ENODEV: [
      {
        id: "not-in-group",
        source:
          "drivers/vfio/group.c: vfio_group_ioctl_get_device_fd, vfio_device_get_from_name; drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_match",
        why: "no device of that name is in the group and bound to VFIO",
        next: "take its name from /sys/kernel/iommu_groups/<group>/devices, and bind it to vfio-pci",
      },
    ],
    EACCES: [
      {
        id: "vf-token",
        source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_validate_vf_token",
        why: "the physical function is with vfio-pci too, and wants the token that its owner set",
        next: "put vf_token=<uuid> behind the device's name",
      },
    ],
    EBUSY: [
      {
        id: "device-open",
        source: "drivers/vfio/vfio_main.c: vfio_device_open",
        why: "the device is open already, and opens once; or it is being reset",
        next: "close the other descriptor first",
      },
    ],
    EPERM: [
      {
        id: "not-viable",
        source: "drivers/vfio/vfio.c: vfio_group_get_device_fd",
        why: "the group is not viable: a device of it is with another driver; or it has no IOMMU, and CAP_SYS_RAWIO is missing",
        next: "bind every device of the group to vfio-pci",
        ask: kernelDriver,
      },
    ],
    EIO: [
      {
        id: "no-answer",
        source: "drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_enable",
        why: "the device does not answer: it sleeps (D3cold), was unplugged, or hung in a reset",
        next: "see the kernel's log, and reset the device or the slot",
      },
    ],
    EAGAIN: [
      {
        id: "reset",
        source: "drivers/pci/pci.c: pci_try_reset_function",
        why: "the device is being reset, or removed",
        next: "try again",
      },
    ],
    EMFILE: [
      {
        id: "open-files",
        source: "fs/file.c: alloc_fd",
        why: "this process has as many files open as it may",
        guards: guards.openFiles,
        next: "close some, or raise the limit (ulimit -n)",
      },
    ],
    ENOMEM: [
      {
        id: "kernel-memory",
        source: "drivers/vfio/pci/vfio_pci_config.c: vfio_config_init",
        why: "the kernel has no memory for the device's state",
        next: "free some",
      },
    ],
  }),
];
