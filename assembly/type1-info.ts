/**
 * What type1 says of itself: struct vfio_iommu_type1_info, and behind it a chain of capabilities.
 *
 *     offset     0       4       8             16         20
 *     info       | argsz | flags | page sizes  | first    |      |
 *     header     | id:2 version:2 | next  |                          every capability begins so
 *     id 1       | header         | count | ...   | start | last | start | last ...    IOVA ranges, 16 bytes each
 *     id 3       | header         | count |                          maps that the kernel still takes
 *
 * `first` and `next` count from the beginning of the info, and 0 ends the chain (include/uapi/linux/vfio.h: struct
 * vfio_info_cap_header). The kernel is trusted with little here: nothing outside the info is read, and a ring ends.
 */
import * as status from "./status";

export const INFO_BYTES: u32 = 24;
const HEADER_BYTES: u32 = 8;
const RANGES: u32 = 1;
const RANGES_HEAD_BYTES: u64 = 16;
const COUNT_BYTES: u64 = 12;

/** Asks with `bytes` (24 or more) at `at`. */
export function writeType1Info(at: u32, bytes: u32): void {
  memory.fill(at, 0, bytes);
  store<u32>(at, bytes);
}

/** How many bytes the kernel has to say: more than were asked with means that it did not say all. */
export function infoBytes(at: u32): u32 {
  return load<u32>(at);
}

export function type1PageSizes(at: u32): u64 {
  return load<u64>(at, 8);
}

/** Bytes of the capability at `at`, by what it is to hold. */
function capabilityBytes(at: u32, id: u32): u64 {
  return id == RANGES ? RANGES_HEAD_BYTES + ((<u64>capabilityCount(at)) << 4) : COUNT_BYTES;
}

/**
 * Where the first capability `id` (1 or 3) begins in an info of `bytes` (24 or more); 0 when there is none. The whole chain
 * is walked, whatever is found: -MALFORMED_INFO when it leads outside the info or does not end.
 */
export function infoCapability(at: u32, bytes: u32, id: u32): i32 {
  let found: u32 = 0;
  // Each capability takes at least a header: after so many steps one of them was met twice.
  let steps = bytes / HEADER_BYTES;
  let offset = load<u32>(at, 16);
  do {
    // Also where there is no first one: `offset` is then 0.
    if (steps-- == 0 || offset < INFO_BYTES || offset > bytes - HEADER_BYTES) return -status.MALFORMED_INFO;
    if (<u32>load<u16>(at + offset) == id && found == 0) found = offset;
    offset = load<u32>(at + offset, 4);
  } while (offset != 0);
  if (found == 0) return 0;
  const room = <u64>(bytes - found);
  // The count lies within the room when the least that either holds does.
  if (room < COUNT_BYTES || room < capabilityBytes(at + found, id)) return -status.MALFORMED_INFO;
  return <i32>found;
}

/** `count` of a capability that infoCapability has found: ranges, or maps. */
export function capabilityCount(at: u32): u32 {
  return load<u32>(at, 8);
}

/** First IOVA of range `index`, below the count. */
export function rangeStart(at: u32, index: u32): u64 {
  return load<u64>(at + (index << 4), 16);
}

export function rangeLast(at: u32, index: u32): u64 {
  return load<u64>(at + (index << 4), 24);
}
