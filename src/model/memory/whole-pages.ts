/** What a test asks of a process's memory beside system calls: whole pages, and what they may be used for. */
import { argumentRangeError } from "../../errors.ts";
import { Protection } from "../../syscalls.ts";
import { address, size } from "../../validate.ts";
import { PAGE_BYTES, pageOf } from "../pages.ts";
import type { AddressSpace } from "./address-space.ts";

/** In pages of 4 KiB. @throws RangeError ERR_OUT_OF_RANGE where not all of it is mmapped, or a page would be cut. */
export function wholePages(
  space: AddressSpace,
  va: bigint,
  length: bigint | number,
): { readonly start: number; readonly end: number } {
  const asked = size("length", length);
  const [start, end] = [pageOf(address("va", va)), pageOf(va + asked)];
  const areWholePages = asked > 0n && (va | asked) % BigInt(PAGE_BYTES) === 0n && !space.cutsPage(start, end);
  if (!areWholePages || space.filling(start, end, Protection.NONE) === undefined) {
    throw argumentRangeError("va", "the start of whole pages that are all mmapped", va);
  }
  return { start, end };
}

/** @throws RangeError ERR_OUT_OF_RANGE */
export function protectionBits(protection: number): number {
  if (!Number.isInteger(protection) || protection < 0 || protection > (Protection.READ | Protection.WRITE)) {
    throw argumentRangeError("protection", "bits of Protection", protection);
  }
  return protection;
}
