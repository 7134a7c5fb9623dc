/**
 * Many look-ups at once: the loop of radix.ts's `get`, laid out for the processor. By it a window says what it has mapped, and
 * a table what its memsegs state.
 *
 * Every address is looked up by itself, so the loads of several are under way together, and misses of the cache overlap:
 * what counts is that the processor can run ahead. So all that the loop needs of its table is read before it, the loop
 * keeps few values, and its branches (is the slot split, is anything there) go the same way for nearly all addresses of a
 * batch. Measured: with masks in place of the second branch, or unrolled, it is slower.
 */
import { Entry, NONE, PAGE_MASK, Radix, SLOT_MASK } from "./radix";

/** Translates `count` addresses by an affine map, from one column to another or to itself. How many are there. */
export function translateMany(radix: Radix, vas: u32, iovas: u32, count: u32): u32 {
  const root = radix.root;
  const extent = <u64>radix.extent;
  const end = vas + (count << 3);
  let found: u32 = 0;
  for (; vas != end; vas += 8) {
    const va = load<u64>(vas);
    let entry = Entry.ofSlot(root, extent, va);
    let mask = SLOT_MASK;
    if (Entry.isSplit(entry)) {
      entry = Entry.ofPage(entry, va);
      mask = PAGE_MASK;
    }
    let iova = NONE;
    if (entry != 0) {
      iova = (entry & ~PAGE_MASK) + (va & mask);
      // The last byte of all is mapped, and its IOVA may be all ones: as an answer that says "nothing", and counts as that.
      found += iova != NONE ? 1 : 0;
    }
    store<u64>(iovas, iova);
    iovas += 8;
  }
  return found;
}
