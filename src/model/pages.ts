/**
 * How the model counts addresses: in pages of 4 KiB, the smallest page that any TCE or CPU here has.
 *
 *      63                                  12 11         0
 *     |              page                   |  offset     |
 *       52 bits: exact in a JS number (2^53)   12 bits
 *
 * So every address and size of 64 bits is two exact numbers, the sum of two page numbers is below 2^53 and exact too,
 * and nothing on the way of a MAP or UNMAP allocates. A size or distance in larger pages is a division by a power of
 * two, which a double does exactly.
 */
export const PAGE_SHIFT = 12;
export const PAGE_BYTES = 4096;

/** One past the last page of the address space of 64 bits. */
export const PAGES_OF_ADDRESS_SPACE = 2 ** 52;

/** Pages of 4 KiB in one page of `shift`, 12 or more. */
export function pagesPer(shift: number): number {
  return 2 ** (shift - PAGE_SHIFT);
}

export function bytesOf(page: number): bigint {
  return BigInt(page) << 12n;
}

/** The page that holds `address`, of 64 bits. */
export function pageOf(address: bigint): number {
  return Number(address >> 12n);
}

/** How many low bits of `page` are zero: 52 for 0. */
export function trailingZeros(page: number): number {
  if (page === 0) return 52;
  const low = page % 2 ** 32;
  if (low !== 0) return 31 - Math.clz32(low & -low);
  return 32 + trailingZeros(page / 2 ** 32);
}
