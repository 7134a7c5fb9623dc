/**
 * What programs and the kernel write when VFIO says no: words of the message in lower case, and which call they are about. Where
 * a message names its cause itself, or has one answer only, that stands here too. The first that fits counts.
 */
import type { Platform } from "../explanation.ts";

export interface Message {
  /** All of them are in the line. */
  readonly words: readonly string[];
  readonly call: string;
  /** Where the line does not say: programs leave it out, and the kernel's log never has it. */
  readonly answer?: string;
  /** The id of the cause that the message names; several where programs print it for each of them, the more frequent first. */
  readonly names?: readonly string[];
  readonly platform?: Platform;
  /** Of a program that many use, which makes its calls rightly. */
  readonly isProven?: true;
}

const MAP = "VFIO_IOMMU_MAP_DMA";
const UNMAP = "VFIO_IOMMU_UNMAP_DMA";
const CREATE = "VFIO_IOMMU_SPAPR_TCE_CREATE";
const REMOVE = "VFIO_IOMMU_SPAPR_TCE_REMOVE";
const REGISTER = "VFIO_IOMMU_SPAPR_REGISTER_MEMORY";
const UNREGISTER = "VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY";
const STATUS = "VFIO_GROUP_GET_STATUS";
const SET_CONTAINER = "VFIO_GROUP_SET_CONTAINER";
const DEVICE_FD = "VFIO_GROUP_GET_DEVICE_FD";
const SET_IOMMU = "VFIO_SET_IOMMU";
const EXTENSION = "VFIO_CHECK_EXTENSION";
const IRQS = "VFIO_DEVICE_SET_IRQS";

/** The kernel's log. */
const kernel: readonly Message[] = [
  { words: ["rlimit_memlock", "exceeded"], call: MAP, answer: "ENOMEM", names: ["locked-memory"], platform: "type1" },
  {
    words: ["platform rmrr requirement"],
    call: SET_IOMMU,
    answer: "EPERM",
    names: ["reserved-regions"],
    platform: "type1",
  },
  {
    words: ["1:1 iommu mapping"],
    call: SET_CONTAINER,
    answer: "EINVAL",
    names: ["reserved-regions"],
    platform: "type1",
  },
  {
    words: ["no interrupt remapping"],
    call: SET_IOMMU,
    answer: "EPERM",
    names: ["interrupt-remapping"],
    platform: "type1",
  },
  {
    words: ["iommu width", "is not sufficient"],
    call: MAP,
    answer: "EFAULT",
    names: ["address-width"],
    platform: "type1",
  },
  { words: ["bar ", "can't reserve"], call: "mmap of a region", answer: "EBUSY", names: ["claimed"] },
  { words: ["avc:", "denied", "vfio"], call: "open group", answer: "EACCES", names: ["security-module"] },
];

/** Of many programs. */
const general: readonly Message[] = [
  { words: ["not viable"], call: STATUS, answer: "success", names: ["not-viable"] },
  { words: ["must be bound to vfio-pci"], call: STATUS, answer: "success", names: ["not-viable"] },
  { words: ["devices not bound to vfio-pci"], call: STATUS, answer: "success", names: ["not-viable"] },
  { words: ["not all devices in iommu group bound"], call: STATUS, answer: "success", names: ["not-viable"] },
  { words: ["no available iommu models"], call: EXTENSION, answer: "success", names: ["not-there"] },
  { words: ["no supported iommu extensions"], call: EXTENSION, answer: "success", names: ["not-there"] },
  { words: ["unsupported iommu type"], call: EXTENSION, answer: "success", names: ["not-there"] },
  { words: ["no iommu_group found"], call: "open group", answer: "ENOENT", names: ["iommu-off"] },
  { words: ["vfionoiommugroup"], call: "open group", answer: "ENOENT", names: ["iommu-off"] },
  {
    // The device has no link iommu_group, or the group has no node (DPDK, lib/eal/linux/eal_vfio.c: rte_vfio_setup_device).
    words: ["not managed by vfio driver"],
    call: "open group",
    answer: "ENOENT",
    names: ["not-bound", "iommu-off", "not-in-container"],
  },
  { words: ["/sys/module/vfio not found"], call: "open /dev/vfio/vfio", answer: "ENOENT", names: ["module"] },
  { words: ["/dev/vfio/vfio device not found"], call: "open /dev/vfio/vfio", answer: "ENOENT" },
  { words: ["vfio group device", "does not exist"], call: "open group", answer: "ENOENT" },
  { words: ["running out of dma mappings"], call: MAP, answer: "ENOSPC", names: ["entry-limit"] },
  { words: ["cannot limit locked memory"], call: "prlimit" },
  { words: ["mlockall"], call: "mlock", answer: "ENOMEM" },
  { words: ["failed to mlock"], call: "mlock", answer: "ENOMEM" },
  { words: ["ioas_map failed"], call: "IOMMU_IOAS_MAP" },
  { words: ["to the ioas"], call: "IOMMU_IOAS_MAP" },
];

/** DPDK and SPDK. */
const dpdk: readonly Message[] = [
  { words: ["dma remapping cleared instead of"], call: UNMAP, answer: "success", names: ["nothing-unmapped"] },
  { words: ["cannot clear dma remapping"], call: UNMAP },
  { words: ["dma_unmap iova", "size: 0x0", "ret: 0"], call: UNMAP, answer: "success", names: ["nothing-unmapped"] },
  { words: ["dma_unmap"], call: UNMAP },
  { words: ["create new dma window"], call: CREATE, platform: "spapr" },
  { words: ["dma window", "remove"], call: REMOVE, platform: "spapr" },
  { words: ["cannot register vaddr"], call: REGISTER, platform: "spapr" },
  { words: ["cannot unregister vaddr"], call: UNREGISTER, platform: "spapr" },
  { words: ["dma remapping"], call: MAP },
  { words: ["set up dma mapping"], call: MAP },
  { words: ["dma_map vaddr"], call: MAP },
  { words: ["failed to map region"], call: MAP },
  { words: ["select iommu type"], call: SET_IOMMU },
  { words: ["set iommu type"], call: SET_IOMMU },
  { words: ["vfio group to container"], call: SET_CONTAINER },
  { words: ["cannot get group status"], call: STATUS },
  { words: ["getting a vfio_dev_fd"], call: DEVICE_FD },
  { words: ["open vfio container"], call: "open /dev/vfio/vfio" },
  { words: ["failed to open vfio group"], call: "open group" },
  { words: ["error enabling", "interrupts"], call: IRQS },
  { words: ["error disabling", "interrupts"], call: IRQS },
];

/** QEMU, and what starts it. */
const qemu: readonly Message[] = [
  { words: ["dma_map("], call: MAP },
  { words: ["dma_unmap("], call: UNMAP },
  { words: ["vfio_map_dma"], call: MAP },
  { words: ["vfio_unmap_dma"], call: UNMAP },
  { words: ["failed to create a window"], call: CREATE, platform: "spapr" },
  { words: ["failed to remove window"], call: REMOVE, platform: "spapr" },
  { words: ["failed to set iommu"], call: SET_IOMMU },
  { words: ["failed to set container"], call: SET_CONTAINER },
  { words: ["failed to set group container"], call: SET_CONTAINER },
  { words: ["error getting device from group"], call: DEVICE_FD },
  { words: ["failed to get group", "status"], call: STATUS },
  { words: ["failed to mmap", "bar"], call: "mmap of a region" },
  { words: ["trigger eventfd signaling"], call: IRQS },
  { words: ["failed to setup container"], call: SET_IOMMU },
];

/** cloud-hypervisor, crosvm, Firecracker: the names of their errors. */
const rust: readonly Message[] = [
  { words: ["iommudmaunmap"], call: UNMAP },
  { words: ["iommudmamap"], call: MAP },
  { words: ["vfiodmamap"], call: MAP },
  { words: ["vfiodmaunmap"], call: UNMAP },
  { words: ["failed to dma map"], call: MAP },
  { words: ["dma map", "failed"], call: MAP },
  { words: ["to map iommu"], call: MAP },
  { words: ["containersetiommu"], call: SET_IOMMU },
  { words: ["groupsetcontainer"], call: SET_CONTAINER },
  { words: ["groupgetdevicefd"], call: DEVICE_FD },
  { words: ["getgroupstatus"], call: STATUS },
  { words: ["groupviable"], call: STATUS, answer: "success", names: ["not-viable"] },
  { words: ["opengroup"], call: "open group" },
  { words: ["opencontainer"], call: "open /dev/vfio/vfio" },
  { words: ["vfioextension"], call: EXTENSION, answer: "success", names: ["not-there"] },
  { words: ["vfiosetiommu"], call: SET_IOMMU },
  { words: ["could not get region"], call: "VFIO_DEVICE_GET_REGION_INFO", answer: "EINVAL", names: ["no-region"] },
  { words: ["vfiodevicesetirq"], call: IRQS },
];

/** Other words for the calls. */
const others: readonly Message[] = [
  { words: ["map dma memory"], call: MAP },
  { words: ["link group", "to container"], call: SET_CONTAINER },
  { words: ["unmap dma"], call: UNMAP },
  { words: ["map dma"], call: MAP },
  { words: ["hot reset"], call: "VFIO_DEVICE_PCI_HOT_RESET" },
  { words: ["vfio", "failed to reset"], call: "VFIO_DEVICE_RESET" },
];

const proven = [...dpdk, ...qemu, ...rust].map((message): Message => ({ ...message, isProven: true }));

export const messages: readonly Message[] = [...kernel, ...general, ...proven, ...others];
