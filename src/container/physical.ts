/**
 * IOVAs without an IOMMU: the physical addresses themselves. A wrong one makes the device write into memory of somebody
 * else, so each is asked for, and none is believed.
 *
 * The CPU's pages are asked for, not the window's: that the memory really comes in hugepages is nowhere else seen. It is the
 * truth of the moment only: nothing pins memory here.
 */
import { NO_ADDRESS } from "../core.ts";
import { DmaWindowError } from "../errors.ts";
import { hex } from "../hex.ts";
import type { Syscalls } from "../syscalls.ts";

/** Asked for at a time: half a MiB of answers. */
const PAGES = 1 << 16;

/**
 * The physical address of `length` bytes from `va` on, both whole CPU pages, that lie together in physical memory too. With
 * an `iova` (all ones: none) it must be that.
 *
 * @throws `ERR_NOT_CONTIGUOUS` (facts: va, physical, expected), `ERR_PHYSICAL_MISMATCH` (va, iova, physical),
 * `ERR_PHYSICAL_UNKNOWN` (va), and what the kernel's `physicalAddresses` throws: of the page that is wrong.
 */
export function physicalIova(kernel: Syscalls, va: bigint, length: bigint, iova: bigint): bigint {
  const page = BigInt(kernel.pageSize);
  const total = length / page;
  let first = iova;
  for (let from = 0n; from < total; from += BigInt(PAGES)) {
    const left = total - from;
    const count = left < BigInt(PAGES) ? Number(left) : PAGES;
    const addresses = kernel.physicalAddresses(va + from * page, count, kernel.pageSize);
    for (let i = 0; i < count; i++) {
      const at = va + (from + BigInt(i)) * page;
      const physical = addresses[i] ?? NO_ADDRESS;
      if (physical === NO_ADDRESS) throw unknown(at);
      if (first === NO_ADDRESS) first = physical;
      const expected = first + (at - va);
      if (physical !== expected)
        throw iova === NO_ADDRESS ? apart(at, physical, expected) : mismatch(at, expected, physical);
    }
  }
  return first;
}

function unknown(va: bigint): DmaWindowError {
  return new DmaWindowError(
    "ERR_PHYSICAL_UNKNOWN",
    `the physical address of the memory at ${hex(va)} is not known, and without an IOMMU it is the only IOVA there is`,
    { facts: { va } },
  );
}

function apart(va: bigint, physical: bigint, expected: bigint): DmaWindowError {
  return new DmaWindowError(
    "ERR_NOT_CONTIGUOUS",
    `the memory at ${hex(va)} is at physical ${hex(physical)}, and not at ${hex(expected)} behind what lies before it: ` +
      "without an IOMMU it cannot be one run of IOVAs. Map it hugepage by hugepage",
    { facts: { va, physical, expected } },
  );
}

function mismatch(va: bigint, iova: bigint, physical: bigint): DmaWindowError {
  return new DmaWindowError(
    "ERR_PHYSICAL_MISMATCH",
    `the memory at ${hex(va)} is at physical ${hex(physical)}; IOVA ${hex(iova)} is other memory, which the device would reach: ` +
      "leave the IOVA out",
    { facts: { va, iova, physical } },
  );
}

/** What is left out of a request's check here, because the core refuses it: what is no range of whole pages of the window. */
export function isPlaceable(
  va: bigint,
  length: bigint,
  { size, pageShift }: { size: bigint; pageShift: number },
): boolean {
  const mask = (1n << BigInt(pageShift)) - 1n;
  return length !== 0n && length <= size && ((va | length) & mask) === 0n && va + length <= 1n << 64n;
}
