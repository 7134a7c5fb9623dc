import { type ReadMemory, Unreadable, wrapped } from "./cursor.ts";

const PAGE = 4096n;
/** What is read beyond that is not kept. */
const PAGES_MAX = 1024;

/**
 * Reads memory, and keeps the pages that small reads touch: one call for each page instead of one for each word. For one look at a
 * thread that waits: its memory may be another one afterwards.
 *
 * @param copy How many bytes there were from an address on, which it has put into the array; or less than 0.
 */
export function readThrough(copy: (address: bigint, into: Uint8Array) => number): ReadMemory {
  const pages = new Map<bigint, Uint8Array>();

  function direct(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    const there = copy(address, bytes);
    if (there !== length) throw new Unreadable(`no memory of ${length} bytes at 0x${address.toString(16)}`);
    return bytes;
  }

  function page(address: bigint): Uint8Array {
    const known = pages.get(address);
    if (known !== undefined) return known;
    const bytes = direct(address, Number(PAGE));
    if (pages.size < PAGES_MAX) pages.set(address, bytes);
    return bytes;
  }

  return (address, length) => {
    if (length === 0) return new Uint8Array(0);
    const first = address - (address % PAGE);
    const last = wrapped(address + BigInt(length - 1));
    if (last - (last % PAGE) !== first) return direct(address, length);
    const at = Number(address - first);
    return page(first).subarray(at, at + length);
  };
}
