import { argumentRangeError, DmaWindowError } from "../../errors.ts";
import { hex } from "../../hex.ts";
import { isPowerOfTwo } from "../../power-of-two.ts";
import { Protection } from "../../syscalls.ts";
import { bytesOf, pageOf } from "../pages.ts";
import type { AddressSpace } from "./address-space.ts";
import { SimulatedBacking } from "./simulated-backing.ts";

const ADDRESS_SPACE = 1n << 64n;

/** As many as the real kernel's reader takes at once. */
const MOST_PAGES = 2 ** 27;

/**
 * What `/proc/self/pagemap` tells root of simulated memory. Of each page the first part alone is looked at, as in the real
 * one. Memory that may not be used at all (PROT_NONE) has no pages; all other memory has.
 *
 * @throws DmaWindowError ERR_PAGE_NOT_PRESENT, RangeError ERR_OUT_OF_RANGE
 */
export function addressesOf(
  space: AddressSpace,
  va: bigint,
  pages: number,
  pageSize: number,
  cpuPageSize: number,
): BigUint64Array {
  if (pageSize < cpuPageSize || !isPowerOfTwo(pageSize)) {
    throw argumentRangeError("pageSize", `a power of two from the CPU's page size, ${hex(cpuPageSize)}`, pageSize);
  }
  if (!Number.isInteger(pages) || pages < 0 || pages > MOST_PAGES) {
    throw argumentRangeError("pages", `an integer from 0 to ${MOST_PAGES}`, pages);
  }
  const step = BigInt(pageSize);
  if (va < 0n || va % step !== 0n || va + BigInt(pages) * step > ADDRESS_SPACE) {
    throw argumentRangeError("va", `a multiple of ${hex(pageSize)}, with all pages below 2^64`, va);
  }
  return BigUint64Array.from({ length: pages }, (_, index) => addressOf(space, va + BigInt(index) * step));
}

function addressOf(space: AddressSpace, va: bigint): bigint {
  const area = space.areas.at(pageOf(va));
  if (area?.backing instanceof SimulatedBacking && area.protection !== Protection.NONE) {
    return bytesOf(area.backing.frameOf(pageOf(va)));
  }
  throw new DmaWindowError(
    "ERR_PAGE_NOT_PRESENT",
    `the page at ${hex(va)} has no physical address: nothing is mapped there, or only address space is kept. Map memory first`,
    { facts: { va } },
  );
}
