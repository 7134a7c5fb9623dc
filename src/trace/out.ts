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
    default:
      return undefined;
  }
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
    ...((flags & INFO_CAPS) !== 0 && argsz >= TYPE1_CAPABILITIES_AT + 4 ? { capabilities: capabilities(view) } : {}),
  };
}

function capabilities(view: DataView): Out[] {
  const found: Out[] = [];
  let at = view.getUint32(TYPE1_CAPABILITIES_AT, true);
  while (at !== 0 && at + 8 <= view.byteLength && found.length < CAPABILITIES_MAX) {
    found.push(capability(view, at));
    at = view.getUint32(at + 4, true);
  }
  return found;
}

/** Ids of `<linux/vfio.h>`: 1 the ranges of IOVAs, 2 migration, 3 how many more maps there may be. */
function capability(view: DataView, at: number): Out {
  const room = view.byteLength - at;
  const head = { id: view.getUint16(at, true), version: view.getUint16(at + 2, true) };
  if (head.id === 1 && room >= 16) {
    const count = Math.min(view.getUint32(at + 8, true), Math.floor((room - 16) / 16));
    const ranges = Array.from({ length: count }, (_, i) =>
      [0, 8].map((half) => hex(view.getBigUint64(at + 16 + i * 16 + half, true))),
    );
    return { ...head, ranges };
  }
  if (head.id === 2 && room >= 32) {
    const [pageSizes, most] = [16, 24].map((field) => hex(view.getBigUint64(at + field, true)));
    return { ...head, flags: view.getUint32(at + 8, true), pageSizes, maxDirtyBitmap: most };
  }
  if (head.id === 3 && room >= 12) return { ...head, available: view.getUint32(at + 8, true) };
  return head;
}
