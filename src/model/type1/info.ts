import { EFAULT, EINVAL } from "../errno.ts";
import { type Struct, Type1Info } from "../structs.ts";
import type { Type1Settings } from "./settings.ts";

/** VFIO_IOMMU_INFO_PGSIZES, VFIO_IOMMU_INFO_CAPS. */
const Flag = { PGSIZES: 1, CAPS: 2 };

/** VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, _MIGRATION and VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL; all of version 1. */
const Capability = { IOVA_RANGE: 1, MIGRATION: 2, DMA_AVAIL: 3 };

/** The largest bitmap of dirty pages that it would write: 2^31 bits. (`DIRTY_BITMAP_SIZE_MAX`) */
const DIRTY_BITMAP_BYTES = 1n << 28n;

/**
 * GET_INFO. The struct, and behind it a chain of capabilities, each on a multiple of 8 and each naming the next one by its
 * distance from the struct's start; 0 ends the chain.
 *
 *      0 | argsz          | flags          |
 *      8 | iova_pgsizes                    |
 *     16 | cap_offset: 24 | -              |
 *     24 | 2, version 1   | next: 56       |  migration
 *     32 | flags 0        | -              |
 *     40 | smallest page size              |
 *     48 | largest bitmap of dirty pages   |
 *     56 | 3, version 1   | next: 72       |  dma_avail
 *     64 | maps available | -              |
 *     72 | 1, version 1   | next: 0        |  IOVA ranges
 *     80 | how many: n    | -              |
 *     88 | start           | last          |  n times 16 bytes
 *
 * A kernel that does not align capabilities has no room behind dma_avail: all that follows begins 4 bytes earlier. One that
 * does not know a capability leaves it out.
 *
 * Rules: `drivers/vfio/vfio_iommu_type1.c: vfio_iommu_type1_get_info`, `drivers/vfio/vfio_main.c: vfio_info_cap_add,
 * vfio_info_cap_shift`. Where argsz has no room for the chain, the answer is 0 and argsz says how much it takes.
 */
export function getInfo(struct: Struct | undefined, settings: Type1Settings, available: number): number {
  if (struct === undefined) return EFAULT;
  struct.need(Type1Info.FIXED_BYTES);
  const { argsz } = struct;
  if (argsz < Type1Info.FIXED_BYTES) return EINVAL;
  const room = Math.min(argsz, Type1Info.BYTES);
  struct.need(room);
  if (!settings.rules.hasRanges) {
    struct.setU32(4, Flag.PGSIZES);
    struct.setU64(Type1Info.PGSIZES, settings.pgsizes);
    return 0;
  }
  const chain = chainOf(settings);
  const needed = Type1Info.BYTES + chain.reduce((bytes, [, size]) => bytes + size, 0);
  const fits = argsz >= needed;
  if (fits) {
    struct.need(needed);
    writeChain(struct, chain, settings, available);
  } else {
    struct.setU32(0, needed);
  }
  struct.setU32(4, Flag.PGSIZES | Flag.CAPS);
  struct.setU64(Type1Info.PGSIZES, settings.pgsizes);
  // The kernel copies as many bytes as there is room for, so a field can be written in part. Little-endian, below 256.
  for (let at = Type1Info.CAP_OFFSET; at < room; at++) {
    struct.setU8(at, fits && at === Type1Info.CAP_OFFSET ? Type1Info.BYTES : 0);
  }
  return 0;
}

/** A capability and the bytes that it takes. */
type Link = readonly [id: number, bytes: number];

/** What the chain consists of, in the kernel's order. */
function chainOf({ ranges, rules }: Type1Settings): Link[] {
  const chain: Link[] = [];
  if (rules.hasDirtyPages) chain.push([Capability.MIGRATION, 32]);
  if (rules.saysMapsAvailable) chain.push([Capability.DMA_AVAIL, rules.alignsCapabilities ? 16 : 12]);
  return [...chain, [Capability.IOVA_RANGE, RANGES_HEAD_BYTES + ranges.length * RANGE_BYTES]];
}

const RANGES_HEAD_BYTES = 16;
const RANGE_BYTES = 16;

function writeChain(struct: Struct, chain: readonly Link[], settings: Type1Settings, available: number): void {
  let at = Type1Info.BYTES;
  for (const [index, [id, bytes]] of chain.entries()) {
    const next = index + 1 < chain.length ? at + bytes : 0;
    for (let within = at; within < at + Math.min(bytes, RANGES_HEAD_BYTES); within += 4) struct.setU32(within, 0);
    writeHead(struct, at, id, next);
    writeBody(struct, at, id, settings, available);
    at += bytes;
  }
}

function writeBody(
  struct: Struct,
  at: number,
  id: number,
  { pgsizes, ranges }: Type1Settings,
  available: number,
): void {
  if (id === Capability.MIGRATION) {
    struct.setU64(at + 16, pgsizes & -pgsizes);
    struct.setU64(at + 24, DIRTY_BITMAP_BYTES);
  } else if (id === Capability.DMA_AVAIL) {
    struct.setU32(at + 8, available);
  } else {
    struct.setU32(at + 8, ranges.length);
    for (const [index, { start, last }] of ranges.entries()) {
      const range = at + RANGES_HEAD_BYTES + index * RANGE_BYTES;
      struct.setU64(range, start);
      struct.setU64(range + 8, last);
    }
  }
}

/** id: 16 bits, version: 16 bits, next: 32 bits. */
function writeHead(struct: Struct, at: number, id: number, next: number): void {
  struct.setU32(at, (1 << 16) | id);
  struct.setU32(at + 4, next);
}
