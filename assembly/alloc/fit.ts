/** Which free block is taken, and where in it: alignment and boundary. */
import { block, GRANULE_SHIFT } from "./descriptors";
import { CLASSES, classFrom, classOf, firstIn } from "./tlsf";

/** Classes whose first block is looked at before one is taken that is certain to be large enough. */
const TRIES: u32 = 4;

/** It does not fit. */
export const NO_FIT: u32 = u32.MAX_VALUE;

export class Place {
  /** The next multiple of 2^shift, modulo 2^64. */
  @inline
  static alignUp(value: u64, shift: u32): u64 {
    const mask = ((<u64>1) << shift) - 1;
    return (value + mask) & ~mask;
  }

  /** Whether two addresses lie in different blocks of 2^shift. */
  @inline
  static crosses(start: u64, last: u64, shift: u32): bool {
    return (start ^ last) >> shift != 0;
  }
}

/**
 * Granules of a free block before the first place for `size` granules; NO_FIT: there is none. `boundary` is 0, or a shift so that
 * 2^boundary is at least the size.
 *
 * A place that would lie past 2^64 becomes 0 by wrapping, which is as far from the block's start as the end of all addresses: so
 * it fails the comparison at the end, as it must.
 */
export function padIn(at: u32, size: u32, align: u32, boundary: u32): u32 {
  const iova = block(at).iova;
  let start = Place.alignUp(iova, align);
  if (boundary != 0 && Place.crosses(start, start + (((<u64>size) << GRANULE_SHIFT) - 1), boundary))
    start = Place.alignUp(start, boundary);
  const pad = (start - iova) >> GRANULE_SHIFT;
  return pad + size <= <u64>block(at).size ? <u32>pad : NO_FIT;
}

/**
 * A free block with room for `size` granules; 0: none was found. The smallest that are likely to do come first; then one that
 * must do. With `all`, each block that may do is asked, so 0 says that there is no room.
 */
export function search(heap: u32, size: u32, align: u32, boundary: u32, all: bool): u32 {
  const smallest = classOf(size);
  let one = smallest;
  for (let tries: u32 = 0; tries < TRIES; tries++) {
    one = classFrom(heap, one);
    if (one == CLASSES) break;
    const at = firstIn(heap, one++);
    if (padIn(at, size, align, boundary) != NO_FIT) return at;
  }
  // Up to the alignment less a granule to the first aligned place, and from there less than the size to a boundary.
  const enough = size + (1 << (align - GRANULE_SHIFT)) - 1 + (boundary != 0 ? size - 1 : 0);
  one = classFrom(heap, classOf(enough - 1) + 1);
  if (one != CLASSES) return firstIn(heap, one);
  if (!all) return 0;
  for (one = classFrom(heap, smallest); one != CLASSES; one = classFrom(heap, one + 1)) {
    for (let at = firstIn(heap, one); at != 0; at = block(at).nextFree) {
      if (padIn(at, size, align, boundary) != NO_FIT) return at;
    }
  }
  return 0;
}
