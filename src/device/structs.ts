/**
 * The structs of a device's calls, as `<linux/vfio.h>` lays them out. Each has a buffer of its own: these calls are few, and the
 * core has no part in them. Little-endian, as every host that Node runs on.
 *
 *     vfio_device_info          0 argsz   4 flags   8 num_regions  12 num_irqs  16 cap_offset  20 -                = 24
 *     vfio_region_info          0 argsz   4 flags   8 index  12 cap_offset  16 size (8)  24 offset (8)             = 32
 *     vfio_irq_info             0 argsz   4 flags   8 index  12 count                                              = 16
 *     vfio_irq_set              0 argsz   4 flags   8 index  12 start  16 count  then the data                     = 20 ...
 *     vfio_pci_hot_reset_info   0 argsz   4 flags   8 count  then of each device: group (4) segment (2) bus devfn  = 12 ...
 *     vfio_pci_hot_reset        0 argsz   4 flags   8 count  then descriptors (4)                                  = 12 ...
 *     a capability              0 id (2)  2 version (2)  4 next (4)  then what it is, from the struct's beginning
 *
 * What the kernel wrote is read without trust: nothing outside of the struct is looked at, and no chain is followed for ever.
 */

/** `flags` of vfio_device_info. */
const DEVICE_RESET = 1;
const DEVICE_PCI = 2;

/** `flags` of vfio_region_info. */
const REGION = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const;

/** `flags` of vfio_irq_info. */
const IRQ = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 } as const;

/** Ids of a region's capabilities. */
const SPARSE_MMAP = 1;
const MSIX_MAPPABLE = 3;

const DEVICE_INFO_BYTES = 24;
export const REGION_INFO_BYTES = 32;
const IRQ_INFO_BYTES = 16;
const IRQ_SET_BYTES = 20;
const HOT_RESET_BYTES = 12;
const CAPABILITY_BYTES = 8;

/** The longest answer that is believed in bytes; the longest known, a list of mappable areas, has some hundreds. */
export const LONGEST_STRUCT = 1 << 16;

/** Regions and interrupts that are asked for at most, whatever a device says to have: a PCI device has 9 of the one and 5 of the other. */
const MOST = 256;

/** What SET_IRQS does with its vectors: `flags` of vfio_irq_set. */
export const Action = { MASK: 8, UNMASK: 16, TRIGGER: 32 } as const;
const DATA_NONE = 1;
const DATA_EVENTFD = 4;

/** Indexes of a PCI device's interrupts. */
export const Irq = { INTX: 0, MSI: 1, MSIX: 2, ERR: 3, REQ: 4 } as const;
export type Irq = (typeof Irq)[keyof typeof Irq];

function struct(bytes: number): { readonly bytes: Uint8Array; readonly view: DataView } {
  const made = new Uint8Array(Math.ceil(bytes / 8) * 8);
  const view = new DataView(made.buffer);
  view.setUint32(0, bytes, true);
  return { bytes: made, view };
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function deviceInfo(): Uint8Array {
  return struct(DEVICE_INFO_BYTES).bytes;
}

/** What vfio_device_info says. */
export interface DeviceFacts {
  readonly canReset: boolean;
  readonly isPci: boolean;
  readonly regions: number;
  readonly irqs: number;
}

export function readDeviceInfo(bytes: Uint8Array): DeviceFacts {
  const view = viewOf(bytes);
  const flags = view.getUint32(4, true);
  return {
    canReset: (flags & DEVICE_RESET) !== 0,
    isPci: (flags & DEVICE_PCI) !== 0,
    regions: Math.min(view.getUint32(8, true), MOST),
    irqs: Math.min(view.getUint32(12, true), MOST),
  };
}

/** A part of a region, in bytes from its beginning. */
export interface RegionArea {
  readonly offset: bigint;
  readonly bytes: bigint;
}

/** What vfio_region_info says. */
export interface RegionFacts {
  /** Where it lies in the device's descriptor. */
  readonly offset: bigint;
  readonly bytes: bigint;
  readonly readable: boolean;
  readonly writable: boolean;
  readonly mappable: boolean;
  /** The page of the MSI-X table may be mapped with the rest. */
  readonly msixMappable: boolean;
  /** What may be mapped, where that is not all of it. */
  readonly sparse: readonly RegionArea[] | undefined;
  /** Bytes that the whole answer takes: more than were given where there are capabilities. */
  readonly needed: number;
}

export function regionInfo(index: number, bytes = REGION_INFO_BYTES): Uint8Array {
  const { bytes: made, view } = struct(bytes);
  view.setUint32(8, index, true);
  return made;
}

export function readRegionInfo(bytes: Uint8Array): RegionFacts {
  const view = viewOf(bytes);
  const flags = view.getUint32(4, true);
  const has = (flag: number) => (flags & flag) !== 0;
  const chain = has(REGION.CAPS) ? capabilitiesIn(view, view.getUint32(12, true)) : [];
  const sparse = chain.find(({ id }) => id === SPARSE_MMAP);
  return {
    offset: view.getBigUint64(24, true),
    bytes: view.getBigUint64(16, true),
    readable: has(REGION.READ),
    writable: has(REGION.WRITE),
    mappable: has(REGION.MMAP),
    msixMappable: chain.some(({ id }) => id === MSIX_MAPPABLE),
    sparse: sparse && areasIn(view, sparse.at),
    needed: has(REGION.CAPS) ? view.getUint32(0, true) : REGION_INFO_BYTES,
  };
}

/** A chain ends with 0, where it leaves the struct, or comes back to where it was. */
function capabilitiesIn(view: DataView, first: number): { readonly id: number; readonly at: number }[] {
  const seen = new Map<number, { readonly id: number; readonly at: number }>();
  let at = first;
  while (at >= REGION_INFO_BYTES && at + CAPABILITY_BYTES <= view.byteLength && !seen.has(at)) {
    seen.set(at, { id: view.getUint16(at, true), at });
    at = view.getUint32(at + 4, true);
  }
  return [...seen.values()];
}

/** vfio_region_info_cap_sparse_mmap: 8 nr_areas  12 -  then of each: offset (8) size (8) */
function areasIn(view: DataView, at: number): RegionArea[] {
  if (at + 16 > view.byteLength) return [];
  const fit = Math.floor((view.byteLength - at - 16) / 16);
  const count = Math.min(view.getUint32(at + 8, true), fit);
  return Array.from({ length: count }, (_, i) => ({
    offset: view.getBigUint64(at + 16 + 16 * i, true),
    bytes: view.getBigUint64(at + 24 + 16 * i, true),
  })).filter(({ bytes }) => bytes > 0n);
}

/** What vfio_irq_info says of a kind of interrupts. */
export interface IrqFacts {
  /** Vectors; 0 where the device has none of the kind. */
  readonly count: number;
  /** Vectors can be added while others are on; else all are switched on at once. */
  readonly canResize: boolean;
  /** They can be masked, and unmasked. */
  readonly maskable: boolean;
  /** The kernel masks one as it is heard, and it stays so until it is unmasked. */
  readonly autoMasked: boolean;
}

export const NO_IRQS: IrqFacts = { count: 0, canResize: false, maskable: false, autoMasked: false };

export function irqInfo(index: number): Uint8Array {
  const { bytes, view } = struct(IRQ_INFO_BYTES);
  view.setUint32(8, index, true);
  return bytes;
}

export function readIrqInfo(bytes: Uint8Array): IrqFacts {
  const view = viewOf(bytes);
  const flags = view.getUint32(4, true);
  if ((flags & IRQ.EVENTFD) === 0) return NO_IRQS; // nobody could hear of them
  return {
    count: view.getUint32(12, true),
    canResize: (flags & IRQ.NORESIZE) === 0,
    maskable: (flags & IRQ.MASKABLE) !== 0,
    autoMasked: (flags & IRQ.AUTOMASKED) !== 0,
  };
}

/** Vectors from `start` on signal these descriptors from now on; -1 is none. */
export function irqSetFiles(index: Irq, start: number, files: readonly number[]): Uint8Array {
  const { bytes, view } = irqSet(index, start, files.length, DATA_EVENTFD | Action.TRIGGER, 4 * files.length);
  for (const [i, fd] of files.entries()) view.setInt32(IRQ_SET_BYTES + 4 * i, fd, true);
  return bytes;
}

/** Something done to `count` vectors from `start` on; to trigger none from 0 on switches all of them off. */
export function irqSetAction(index: Irq, action: number, start: number, count: number): Uint8Array {
  return irqSet(index, start, count, DATA_NONE | action, 0).bytes;
}

function irqSet(index: Irq, start: number, count: number, flags: number, data: number): ReturnType<typeof struct> {
  const made = struct(IRQ_SET_BYTES + data);
  made.view.setUint32(4, flags, true);
  made.view.setUint32(8, index, true);
  made.view.setUint32(12, start, true);
  made.view.setUint32(16, count, true);
  return made;
}

/** A device that a reset of its bus would reset too. */
export interface DependentDevice {
  readonly group: number;
  /** `0000:01:00.0` */
  readonly address: string;
}

/** Room for `count` devices. */
export function hotResetInfo(count: number): Uint8Array {
  return struct(HOT_RESET_BYTES + 8 * count).bytes;
}

/** How many devices there are, whatever room was given. */
export function hotResetCount(bytes: Uint8Array): number {
  return Math.min(viewOf(bytes).getUint32(8, true), LONGEST_STRUCT / 8);
}

export function readHotResetInfo(bytes: Uint8Array): DependentDevice[] {
  const view = viewOf(bytes);
  const fit = Math.floor((view.getUint32(0, true) - HOT_RESET_BYTES) / 8);
  const room = Math.floor((bytes.length - HOT_RESET_BYTES) / 8);
  return Array.from({ length: Math.max(Math.min(hotResetCount(bytes), fit, room), 0) }, (_, i) => {
    const at = HOT_RESET_BYTES + 8 * i;
    const [segment, bus, devfn] = [view.getUint16(at + 4, true), view.getUint8(at + 6), view.getUint8(at + 7)];
    const [domain, number, slot] = [hexOf(segment, 4), hexOf(bus, 2), hexOf(devfn >> 3, 2)];
    return { group: view.getUint32(at, true), address: `${domain}:${number}:${slot}.${devfn & 7}` };
  });
}

export function hotReset(groupFds: readonly number[]): Uint8Array {
  const { bytes, view } = struct(HOT_RESET_BYTES + 4 * groupFds.length);
  view.setUint32(8, groupFds.length, true);
  for (const [i, fd] of groupFds.entries()) view.setInt32(HOT_RESET_BYTES + 4 * i, fd, true);
  return bytes;
}

/** A device's name, as GET_DEVICE_FD wants it. */
export function deviceName(address: string): Uint8Array {
  const bytes = new Uint8Array(Math.ceil((address.length + 1) / 8) * 8);
  for (let i = 0; i < address.length; i++) bytes[i] = address.charCodeAt(i); // ASCII: an address was matched as one
  return bytes;
}

function hexOf(value: number, digits: number): string {
  return value.toString(16).padStart(digits, "0");
}
