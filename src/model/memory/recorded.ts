import { MapFlag } from "../../syscalls.ts";
import { PAGE_BYTES, PAGES_OF_ADDRESS_SPACE, pageOf } from "../pages.ts";
import type { AddressSpace } from "./address-space.ts";
import type { Frames } from "./frames.ts";
import { RealBacking } from "./real-backing.ts";
import type { MemorySource } from "./source.ts";

/** What a kernel answers for a physical address that it does not know. */
const NOT_KNOWN = 2n ** 64n - 1n;

/**
 * Real memory under a software kernel: the calls go to the source, and what they did is written down, because REGISTER
 * has to know what is mmapped and how. Memory that the process got in another way is not there for the model.
 */
export function recordedMemory(
  source: MemorySource,
  space: AddressSpace,
  pageSize: number,
  frames: Frames,
): MemorySource {
  const granule = BigInt(pageSize);
  const roundedUp = (length: bigint, unit: bigint) => ((length + unit - 1n) / unit) * unit;

  const note = (page: number, size: number, address: bigint) => {
    const area = space.areas.at(page);
    if (area === undefined || address === NOT_KNOWN) return;
    const start = pageOf(address);
    const { backing } = area;
    frames.take({ start, end: start + size / PAGE_BYTES, backing, pageOf: (frame) => page + (frame - start) });
  };

  return {
    mmap(address, length, protection, flags, hugePageShift) {
      const result = source.mmap(address, length, protection, flags, hugePageShift);
      if (result < 0n) return result;
      const huge = (flags & MapFlag.HUGETLB) !== 0;
      const start = pageOf(result);
      const end = start + pageOf(roundedUp(length, huge ? 1n << BigInt(hugePageShift) : granule));
      space.carve(start, end);
      const backing = new RealBacking({
        space,
        source,
        start,
        end,
        pageShift: huge ? hugePageShift : Math.log2(pageSize),
      });
      space.add({ start, end, protection, backing, pinnable: true, ofDevice: false });
      return result;
    },
    munmap(address, length) {
      const result = source.munmap(address, length);
      if (result !== 0) return result;
      const start = pageOf(address);
      const end = Math.min(start + pageOf(roundedUp(length, granule)), PAGES_OF_ADDRESS_SPACE);
      if (source.keep) for (const { backing } of space.within(start, end)) source.keep(backing, address, length);
      space.carve(start, end);
      return 0;
    },
    bindNode: source.bindNode && ((...parameters) => source.bindNode?.(...parameters) ?? 0),
    view: (address, length) => source.view(address, length),
    unview: (view) => source.unview(view),
    populate: source.populate && ((address, length) => source.populate?.(address, length) ?? 0),
    read: source.read && ((address, into) => source.read?.(address, into)),
    write: source.write && ((address, from) => source.write?.(address, from)),
    physicalAddresses(va, pages, size) {
      const addresses = source.physicalAddresses(va, pages, size);
      // A device without an IOMMU is given these: they are written down, so that the model finds the memory again.
      for (const [index, address] of addresses.entries()) note(pageOf(va) + index * (size / PAGE_BYTES), size, address);
      return addresses;
    },
  };
}
