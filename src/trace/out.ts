/** What the kernel wrote into a struct, decoded: the part of an answer that is no number. */
import { hex } from "../hex.ts";
import { IommuType, VfioCall } from "../syscalls.ts";

/** Numbers, hex strings, and lists of them; equal when their JSON is. */
export type Out = Readonly<Record<string, unknown>>;

/** Bytes of the structs before their last fields. */
const INFO_WITHOUT_DDW_BYTES = 16;
const INFO_BYTES = 32;

/** `flags` of type1's info: `VFIO_IOMMU_INFO_PGSIZES`, `VFIO_IOMMU_INFO_CAPS`. */
const INFO_PGSIZES = 1;
const INFO_CAPS = 2;

const TYPE1_CAPABILITIES_AT = 16;

/** Far more than any kernel has: a chain that runs in a ring ends too. */
const CAPABILITIES_MAX = 64;

/**
 * `before` and `after` are the struct and what follows it up to `argsz`. Only for a call that was answered with 0; gives
 * `undefined` where the kernel had nothing to say, and for UNMAP_DMA where it left the size as it was.
 */
export function outOf(
  call: number,
  before: Uint8Array,
  after: Uint8Array,
  iommuType: number | undefined,
): Out | undefined {
  const view = new DataView(after.buffer, after.byteOffset, after.byteLength);
  const given = new DataView(before.buffer, before.byteOffset, before.byteLength);
  switch (call) {
    case VfioCall.GROUP_GET_STATUS:
      return { flags: view.getUint32(4, true) };
    case VfioCall.IOMMU_SPAPR_TCE_CREATE:
      return { start: hex(view.getBigUint64(32, true)) };
    case VfioCall.IOMMU_UNMAP_DMA: {
      const size = view.getBigUint64(16, true);
      return size === given.getBigUint64(16, true) ? undefined : { size: hex(size) };
    }
    case VfioCall.IOMMU_SPAPR_TCE_GET_INFO:
      return isType1(iommuType) ? type1Info(view, given.getUint32(0, true)) : spaprInfo(view, given.getUint32(0, true));
    case VfioCall.DEVICE_GET_INFO:
      return u32s(view, { flags: 4, regions: 8, irqs: 12 });
    case VfioCall.DEVICE_GET_REGION_INFO:
      return regionInfo(view, given.getUint32(0, true));
    case VfioCall.DEVICE_GET_IRQ_INFO:
      return u32s(view, { flags: 4, count: 12 });
    case VfioCall.DEVICE_GET_PCI_HOT_RESET_INFO:
      return hotResetInfo(view);
    default:
      return undefined;
  }
}

function u32s(view: DataView, fields: Readonly<Record<string, number>>): Out {
  return Object.fromEntries(Object.entries(fields).map(([name, at]) => [name, view.getUint32(at, true)]));
}

/** `flags` of a region: `VFIO_REGION_INFO_FLAG_CAPS`. */
const REGION_CAPS = 8;

/**
 * struct vfio_region_info, and its capabilities:
 *
 *     0       4       8       12      16              24              32
 *     | argsz | flags | index | chain | size          | offset        |
 */
function regionInfo(view: DataView, argsz: number): Out {
  const hasChain = (view.getUint32(4, true) & REGION_CAPS) !== 0 && argsz > 32;
  return {
    ...u32s(view, { argsz: 0, flags: 4 }),
    size: hex(view.getBigUint64(16, true)),
    offset: hex(view.getBigUint64(24, true)),
    ...(hasChain ? { capabilities: capabilities(view, 12, regionCapability) } : {}),
  };
}

/** Ids of `<linux/vfio.h>`: 1 the areas that may be mapped, 3 (no more than its head) that the MSI-X table may. */
function regionCapability(view: DataView, at: number): Out {
  const head = capabilityHead(view, at);
  return head.id === 1 && view.byteLength - at >= 16 ? { ...head, areas: pairs(view, at) } : head;
}

/** struct vfio_pci_hot_reset_info: the devices that a reset takes along, 8 bytes each. */
function hotResetInfo(view: DataView): Out {
  const count = view.getUint32(8, true);
  const room = Math.min(count, Math.floor((view.byteLength - 12) / 8));
  const text = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
  const devices = Array.from({ length: room }, (_, i) => {
    const at = 12 + 8 * i;
    const [bus, slot] = [view.getUint8(at + 6), view.getUint8(at + 7)];
    const address = `${text(view.getUint16(at + 4, true), 4)}:${text(bus, 2)}:${text(slot >> 3, 2)}.${slot & 7}`;
    return { group: view.getUint32(at, true), address };
  });
  return { flags: view.getUint32(4, true), count, devices };
}

function isType1(type: number | undefined): boolean {
  return type === IommuType.TYPE1 || type === IommuType.TYPE1v2;
}

/** struct vfio_iommu_spapr_tce_info: the last four fields only where `argsz` has room for them. */
function spaprInfo(view: DataView, argsz: number): Out {
  if (argsz < INFO_WITHOUT_DDW_BYTES) return {};
  const fixed = {
    flags: view.getUint32(4, true),
    start: hex(view.getUint32(8, true)),
    size: hex(view.getUint32(12, true)),
  };
  if (argsz < INFO_BYTES) return fixed;
  return {
    ...fixed,
    pageSizes: hex(view.getBigUint64(16, true)),
    windows: view.getUint32(24, true),
    levels: view.getUint32(28, true),
  };
}

/**
 * struct vfio_iommu_type1_info, and the capabilities behind it, each where the one before says:
 *
 *     0       4       8               16       20
 *     | argsz | flags | page sizes    | offset |        capability: | id : 2 | version : 2 | next : 4 | ...
 */
function type1Info(view: DataView, argsz: number): Out {
  const flags = view.getUint32(4, true);
  return {
    argsz: view.getUint32(0, true),
    flags,
    ...((flags & INFO_PGSIZES) !== 0 ? { pageSizes: hex(view.getBigUint64(8, true)) } : {}),
    ...((flags & INFO_CAPS) !== 0 && argsz >= TYPE1_CAPABILITIES_AT + 4
      ? { capabilities: capabilities(view, TYPE1_CAPABILITIES_AT, type1Capability) }
      : {}),
  };
}

/** `first`: where the struct says at which offset the chain begins. */
function capabilities(view: DataView, first: number, capability: (view: DataView, at: number) => Out): Out[] {
  const found: Out[] = [];
  let at = view.getUint32(first, true);
  while (at !== 0 && at + 8 <= view.byteLength && found.length < CAPABILITIES_MAX) {
    found.push(capability(view, at));
    at = view.getUint32(at + 4, true);
  }
  return found;
}

function capabilityHead(view: DataView, at: number): { id: number; version: number } {
  return { id: view.getUint16(at, true), version: view.getUint16(at + 2, true) };
}

/** A count at 8 of the capability, and from 16 on as many pairs of u64, as far as the memory goes. */
function pairs(view: DataView, at: number): string[][] {
  const count = Math.min(view.getUint32(at + 8, true), Math.floor((view.byteLength - at - 16) / 16));
  return Array.from({ length: count }, (_, i) =>
    [0, 8].map((half) => hex(view.getBigUint64(at + 16 + i * 16 + half, true))),
  );
}

/** Ids of `<linux/vfio.h>`: 1 the ranges of IOVAs, 2 migration, 3 how many more maps there may be. */
function type1Capability(view: DataView, at: number): Out {
  const room = view.byteLength - at;
  const head = capabilityHead(view, at);
  if (head.id === 1 && room >= 16) return { ...head, ranges: pairs(view, at) };
  if (head.id === 2 && room >= 32) {
    const [pageSizes, most] = [16, 24].map((field) => hex(view.getBigUint64(at + field, true)));
    return { ...head, flags: view.getUint32(at + 8, true), pageSizes, maxDirtyBitmap: most };
  }
  if (head.id === 3 && room >= 12) return { ...head, available: view.getUint32(at + 8, true) };
  return head;
}
