/** Calls on a container that every IOMMU has, and SET_IOMMU. */
import { type Cause, causesOf } from "./cause.ts";
import { known } from "./facts.ts";
import { firmwareMemory } from "./group.ts";
import { kernelDriver, moduleMissing, unlessParameter, without } from "./questions.ts";

const notAContainer = {
  id: "not-a-container",
  source: "fs/ioctl.c: vfs_ioctl",
  why: "what answers at /dev/vfio/vfio is not VFIO's container",
  next: "see what the node is (ls -l: major 10, minor 196)",
} as const;

const rawio = {
  id: "rawio",
  iommu: ["noiommu"],
  source: "drivers/vfio/container.c: vfio_noiommu_open",
  why: "a container without an IOMMU needs CAP_SYS_RAWIO",
  guards: "its devices reach all memory, so that only root may have it",
  next: "run as root",
  ask: without("SYS_RAWIO", "a container without an IOMMU needs CAP_SYS_RAWIO"),
} as const;

export const containerCauses: readonly Cause[] = [
  ...causesOf("VFIO_GET_API_VERSION", { ENOTTY: [notAContainer], EINVAL: [notAContainer] }),
  ...causesOf("VFIO_CHECK_EXTENSION", { ENOTTY: [notAContainer], EINVAL: [notAContainer] }),
  ...causesOf("VFIO_SET_IOMMU", {
    EINVAL: [
      {
        id: "no-group",
        source: "drivers/vfio/container.c: vfio_ioctl_set_iommu",
        why: "the container has no group, or has its type already",
        next: "put the groups in first, and set the type once",
        holds: (asked) => {
          const has = known(asked, "hasGroup");
          return has === undefined ? undefined : !has;
        },
      },
      {
        id: "apertures",
        iommu: ["type1"],
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_aper_conflict, vfio_iommu_resv_conflict",
        why: "the groups' IOMMUs allow no IOVAs in common",
        next: "give each group a container of its own",
      },
      { ...firmwareMemory, since: "6.6", source: "drivers/iommu/iommu.c: __iommu_device_set_domain" },
      {
        id: "domain",
        iommu: ["type1"],
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_attach_group",
        why: "the IOMMU's driver does not attach the group to a domain of the kind that was asked for",
        next: "see the kernel's log (dmesg)",
      },
    ],
    ENODEV: [
      {
        id: "driver",
        iommu: ["spapr"],
        source: "drivers/vfio/container.c: vfio_ioctl_set_iommu",
        why: "this machine's VFIO has no driver for that type",
        next: "load vfio_iommu_spapr_tce",
        ask: moduleMissing("vfio_iommu_spapr_tce"),
      },
      {
        id: "driver",
        iommu: ["type1"],
        source: "drivers/vfio/container.c: vfio_ioctl_set_iommu",
        why: "this machine's VFIO has no driver for that type",
        next: "load vfio_iommu_type1",
        ask: moduleMissing("vfio_iommu_type1"),
      },
      {
        id: "no-domain",
        iommu: ["type1", "spapr"],
        source: "drivers/iommu/iommu.c: iommu_domain_alloc",
        why: "the group's IOMMU is off, or makes no domain for programs",
        next: "see the kernel's log (dmesg | grep -i iommu)",
      },
      {
        id: "unsafe-mode",
        iommu: ["noiommu"],
        source: "drivers/vfio/container.c: vfio_noiommu_ops, vfio_ioctl_set_iommu",
        why: "the kernel gives no container without an IOMMU",
        guards: "without an IOMMU a device reaches all memory, and the kernel is tainted",
        next: "where that is meant, load vfio with enable_unsafe_noiommu_mode=1",
        ask: unlessParameter(
          "vfio",
          "enable_unsafe_noiommu_mode",
          "Y",
          "enable_unsafe_noiommu_mode is missing: it is on",
        ),
      },
    ],
    EPERM: [
      rawio,
      {
        id: "interrupt-remapping",
        iommu: ["type1"],
        source: "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_attach_group",
        why: "the IOMMU does not keep a device's interrupts apart",
        guards:
          "that guard keeps a device, and whoever drives it, from raising any interrupt of the whole machine; turn interrupt remapping on instead (firmware's setup: VT-d or AMD-Vi with x2APIC; no intremap=off)",
        next: "who trusts the device and all its users all the same loads vfio_iommu_type1 with allow_unsafe_interrupts=1",
        ask: unlessParameter(
          "vfio_iommu_type1",
          "allow_unsafe_interrupts",
          "Y",
          "allow_unsafe_interrupts is missing: it is on",
        ),
      },
      {
        ...firmwareMemory,
        before: "6.6",
        source: "drivers/iommu/intel/iommu.c: intel_iommu_attach_device, device_is_rmrr_locked",
      },
      {
        id: "other-owner",
        iommu: ["type1", "spapr"],
        since: "5.19",
        source: "drivers/iommu/iommu.c: iommu_group_claim_dma_owner",
        why: "another program has the group's DMA already",
        next: "end it",
      },
    ],
    EBUSY: [
      {
        id: "other-domain",
        source: "drivers/iommu/iommu.c: __iommu_attach_group",
        why: "the group is attached elsewhere: another program, or a driver of the kernel, has its DMA",
        next: "bind every device of the group to vfio-pci, and see who holds it with fuser -v on /dev/vfio/*",
        ask: kernelDriver,
      },
    ],
    ENOMEM: [
      {
        id: "kernel-memory",
        source:
          "drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_open; drivers/vfio/vfio_iommu_spapr_tce.c: tce_iommu_open",
        why: "the kernel has no memory for the IOMMU's tables, or the memory cgroup allows no more",
        next: "free some",
      },
    ],
    ENOSPC: [
      {
        id: "domains",
        iommu: ["type1"],
        source: "drivers/iommu/intel/iommu.c: domain_attach_iommu",
        why: "the IOMMU has no domain number left: each container takes one, and each device of the kernel",
        next: "close containers, or put groups into one",
      },
    ],
    EIO: [
      {
        id: "mediated-device",
        iommu: ["type1"],
        source: "drivers/vfio/mdev/vfio_mdev.c: vfio_mdev_open",
        why: "the driver of a mediated device, or the IOMMU itself, failed",
        next: "see the kernel's log (dmesg)",
      },
    ],
    EOPNOTSUPP: [
      {
        id: "no-domain",
        iommu: ["type1"],
        source: "drivers/iommu/iommu.c: __iommu_domain_alloc",
        why: "the group's IOMMU makes no domain for programs",
        next: "see the kernel's log (dmesg | grep -i iommu)",
      },
    ],
  }),
  ...causesOf("close", {
    EBADF: [
      {
        id: "descriptor",
        source: "fs/open.c: close",
        why: "it was closed behind this library's back",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    EINTR: [
      {
        id: "signal",
        source: "fs/open.c: close",
        why: "a signal came in between; Linux has closed it all the same",
      },
    ],
    EIO: [
      { id: "flush", source: "fs/open.c: filp_flush", why: "what it led to failed; Linux has closed it all the same" },
    ],
  }),
  // Only where a call has no cause of its own for the errno, or none of these can be.
  ...causesOf("any", {
    EPERM: [
      {
        id: "security-module",
        source: "security/security.c: security_file_ioctl, security_capable",
        why: "a security policy (SELinux, AppArmor) or a seccomp filter forbids it, also to root",
        next: "see the kernel's log for a denial",
      },
    ],
    EBADF: [
      {
        id: "descriptor",
        source: "fs/ioctl.c: ioctl",
        why: "the descriptor was closed behind this library's back",
        next: "let nobody close descriptors that are not theirs",
      },
    ],
    ENOTTY: [
      {
        id: "not-known",
        source: "drivers/vfio/container.c: vfio_fops_unl_ioctl",
        why: "the descriptor leads to a file that does not know this call, or the kernel is older than it",
        next: "see which kernel runs (uname -r), and that nobody closes descriptors that are not theirs",
      },
    ],
    EINTR: [
      {
        id: "signal",
        source: "include/linux/sched/signal.h: fatal_signal_pending",
        why: "a signal came in between, such as ends the program",
        next: "make the call again, if the program goes on",
      },
    ],
    ENOSYS: [
      {
        id: "sandbox",
        source: "kernel/seccomp.c: __seccomp_filter",
        why: "this kernel, or a sandbox in its place (gVisor, seccomp), does not have the call",
        next: "run on Linux itself",
      },
    ],
    EFAULT: [
      {
        id: "memory",
        source: "lib/usercopy.c: copy_from_user, copy_to_user",
        why: "the kernel could not read or write the call's struct: wasm memory went away under it, which is a defect of this library",
      },
    ],
    ENOMEM: [
      {
        id: "kernel-memory",
        source: "mm/page_alloc.c: __alloc_pages_slowpath",
        why: "the kernel has no memory for it, or the memory cgroup allows no more",
        next: "free some",
      },
    ],
    EACCES: [
      {
        id: "security-module",
        source: "security/security.c: security_file_ioctl",
        why: "a security policy (SELinux, AppArmor) forbids it",
        next: "see the kernel's log for a denial",
      },
    ],
    ENODEV: [
      {
        id: "removed",
        source: "drivers/vfio/container.c: vfio_container_attach_group",
        why: "the device, or its IOMMU, has gone",
        next: "bind the devices to vfio-pci again, and open a new container",
      },
    ],
  }),
];
