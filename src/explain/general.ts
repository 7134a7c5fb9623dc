/**
 * Some causes speak of what this library has, as its messages should. To whoever asks about the calls of another program the same is
 * said in the words of VFIO.
 */
import type { Cause } from "./cause.ts";

type Words = Partial<Pick<Cause, "why" | "next">>;

const closed = "the descriptor was closed: by another part of the program, or twice";
const regions = "stay within what GET_REGION_INFO says";

/** By call, id, or both. */
const general: Readonly<Record<string, Words>> = {
  memory: {
    why: "the kernel could not read or write the call's struct: its address is no memory of the process",
    next: "give the address of a struct that is there for as long as the call takes",
  },
  "pread memory": {
    why: "the kernel could not write what it read into the buffer: its address is no memory of the process that may be written",
    next: "give the address of a buffer that is there, and as long as the count says",
  },
  "pwrite memory": {
    why: "the kernel could not read what is to be written: the buffer's address is no memory of the process",
    next: "give the address of a buffer that is there, and as long as the count says",
  },
  descriptor: { why: closed, next: "let no part of the program close what is not its own" },
  "open /dev/vfio/vfio module": { next: "load the module vfio; modprobe vfio-pci loads it too" },
  "open group not-bound": { next: "bind every device of the group to vfio-pci first" },
  "open group no-iommu": { next: "where that is meant, open /dev/vfio/noiommu-<number>" },
  "VFIO_DEVICE_GET_REGION_INFO no-region": {
    next: "GET_INFO says how many regions there are; VGA (8) has few devices",
  },
  "VFIO_DEVICE_GET_IRQ_INFO no-irq": {
    next: "GET_INFO says how many kinds there are: INTx 0, MSI 1, MSI-X 2, errors 3, requests 4",
  },
  "no-resize": { next: "switch all on in one call, or off first" },
  "no-reset": { next: "reset its whole bus by PCI_HOT_RESET, where that can be" },
  "root-bus": { next: "use DEVICE_RESET, where the device can" },
  "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO no-group": { next: "reset the device alone by DEVICE_RESET, where it can" },
  "not-all-groups": {
    next: "bind all devices of the bus to vfio-pci, and give the descriptors of all their groups: GET_PCI_HOT_RESET_INFO lists them",
  },
  "pread past-the-end": { next: regions },
  "pwrite past-the-end": { next: regions },
  "memory-off": {
    next: "set bit 1 of the command register, and wake the device (D0 in its power management capability)",
  },
  "no-image": {
    next: "set bit 1 of the command register, and wake the device (D0 in its power management capability); a ROM without an image cannot be read",
  },
  "not-mappable": {
    next: "GET_REGION_INFO says which regions can be mmapped (flag 4), and which parts of them (sparse areas)",
  },
  "IOMMU_IOAS_MAP iova-range": { next: "take IOVAs in the ranges that IOMMU_IOAS_IOVA_RANGES says" },
  "iova-range": { next: "take IOVAs in the ranges that GET_INFO has as a capability, since Linux 5.4" },
  "VFIO_IOMMU_MAP_DMA address-width": {
    next: "take IOVAs in the ranges that GET_INFO has as a capability, since Linux 5.4",
  },
  mapped: { why: "memory is mapped at some of these IOVAs already: nothing was mapped" },
  "no-window": {
    why: "the container has no window: the default one was removed, and no other made",
    next: "TCE_CREATE one",
  },
  "mmap address-space": { next: "raise it (ulimit -v unlimited), or keep less" },
  "no-room": { next: "keep less at once, or leave the address to the kernel" },
  "hash-slice": { next: "keep memory of different page sizes that far apart" },
  "mbind node": {
    next: "take one of /sys/devices/system/node/has_memory, and of Mems_allowed_list in /proc/self/status",
  },
  "no-numa": { next: "do without: all memory is of one node" },
  "not-an-eventfd": {
    why: "a descriptor in the call is no eventfd any more: it was closed, and its number is another file's",
    next: "let no part of the program close what is not its own",
  },
  "VFIO_GROUP_SET_CONTAINER container-interface": { next: "open /dev/vfio/<number>, whose name is that of the group" },
  "VFIO_IOMMU_SPAPR_REGISTER_MEMORY registered": {
    why: "this range is registered already",
    next: "register a range once, and let each mapping in it use that",
  },
  "group-gone": { next: "bind the devices to vfio-pci again, and open the group anew" },
};

export function inGeneral(cause: Cause): Cause {
  const words = general[`${cause.call} ${cause.id}`] ?? general[cause.id];
  return words === undefined ? cause : { ...cause, ...words };
}
