import type { Syscalls } from "../../syscalls.ts";
import { MapFlag } from "../../syscalls.ts";
import { PAGES_OF_ADDRESS_SPACE, pageOf } from "../pages.ts";
import type { AddressSpace } from "./address-space.ts";

/** Where memory comes from. `linuxKernel()` is one: the model then works on this process's own memory. */
export type MemorySource = Pick<Syscalls, "mmap" | "munmap" | "view" | "unview" | "physicalAddresses">;

/**
 * Real memory under a software kernel: the calls go to the source, and what they did is written down, because REGISTER
 * has to know what is mmapped and how. Memory that the process got in another way is not there for the model.
 */
export function recordedMemory(source: MemorySource, space: AddressSpace, pageSize: number): MemorySource {
  const granule = BigInt(pageSize);
  const roundedUp = (length: bigint, unit: bigint) => ((length + unit - 1n) / unit) * unit;

  return {
    mmap(address, length, protection, flags, hugePageShift) {
      const result = source.mmap(address, length, protection, flags, hugePageShift);
      if (result < 0n) return result;
      const huge = (flags & MapFlag.HUGETLB) !== 0;
      const start = pageOf(result);
      const end = start + pageOf(roundedUp(length, huge ? 1n << BigInt(hugePageShift) : granule));
      space.carve(start, end);
      const pageShift = huge ? hugePageShift : Math.log2(pageSize);
      space.areas.insert({ start, end, protection, pageShift, pooled: huge, store: undefined });
      return result;
    },
    munmap(address, length) {
      const result = source.munmap(address, length);
      if (result !== 0) return result;
      const start = pageOf(address);
      space.carve(start, Math.min(start + pageOf(roundedUp(length, granule)), PAGES_OF_ADDRESS_SPACE));
      return 0;
    },
    view: (address, length) => source.view(address, length),
    unview: (view) => source.unview(view),
    physicalAddresses: (va, pages, size) => source.physicalAddresses(va, pages, size),
  };
}
