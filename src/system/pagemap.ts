/**
 * Physical addresses of this process's own pages, from /proc/self/pagemap: one entry of 8 bytes, in host byte order, for
 * each page of the CPU's size, at the file offset (va / page size) * 8 (`fs/proc/task_mmu.c: pagemap_read`).
 *
 *     bit  63        62        61..55   54                                  0
 *          | present | swapped | flags  | page frame number, when present   |
 *
 * **What a physical address is good for.** Until a page is pinned, the kernel may move it (compaction, NUMA balancing,
 * CMA), and the address read here is then another page's. Pinning itself moves a page that lies where pinned pages must
 * not stay (`mm/gup.c: check_and_migrate_movable_pages`). VFIO pins on sPAPR when memory is REGISTERed
 * (`arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_do_alloc`), on type1 when it is mapped. On sPAPR with IOVA = PA the
 * address therefore is a label, the place in the window where the page is put; the TCE there holds whichever address the
 * pinned page really has, and DMA is right even when the two differ. Where the addresses must be true, read them after
 * pinning.
 *
 * A page that was only read so far may be the kernel's shared page of zeros (`mm/memory.c: do_anonymous_page`), which is
 * exchanged at the first write: write to every page, or populate the mapping, before asking.
 */

import { closeSync, openSync, readSync } from "node:fs";
import { argumentRangeError, argumentTypeError, DmaWindowError } from "../errors.ts";
import { guards, sentence } from "../guards.ts";
import { hex } from "../hex.ts";
import { keysOf, known } from "../known.ts";
import { isPowerOfTwo } from "../power-of-two.ts";
import { checkPath, object, size } from "../validate.ts";
import { unreadable } from "./files.ts";
import { pageSize as machinePageSize } from "./page-size.ts";

const ENTRY_BYTES = 8;
const PRESENT = 1n << 63n;
const SWAPPED = 1n << 62n;
const FRAME_BITS = 55;
const ADDRESS_SPACE = 1n << 64n;

/** 1 GiB of entries: below what one read() moves (2^31 bytes less a page), and 512 GiB of 4 KiB pages. */
const MOST_PAGES = 2 ** 27;

const CPU_PAGE_MOST = 1n << 20n;
const HUGEPAGE_MOST = 1n << 40n;

const waysOut = `${sentence(guards.physicalAddresses)}: run as root, or use an IOVA mode that needs none.`;

/** Where physical addresses are read, if not from this process's own pagemap on this machine. */
export interface PagemapOptions {
  /** Default: `/proc/self/pagemap`. */
  readonly path?: string;
  /** What the kernel counts in, in bytes. Default: this machine's, from `/proc/self/auxv`. Trusted. */
  readonly cpuPageSize?: bigint | number;
}

const KEYS = keysOf<PagemapOptions>({ path: true, cpuPageSize: true });

/**
 * The physical address of each of `pages` pages from `va` on. Costs 8 bytes a page and a moment of garbage, and a system
 * call a hugepage; not for hot paths. It is what `MemsegTable`'s option `physical` takes.
 *
 * @param va a multiple of `pageSize`, 0 to 2^64 - 1
 * @param pages 0 to 2^27, none beyond the end of the address space
 * @param pageSize bytes: the CPU's page size, or that of the hugetlb pages which the memory is made of. That it is in one
 *   piece is trusted: of each page the first entry alone is read
 *
 * Throws a DmaWindowError: `ERR_PAGE_NOT_PRESENT` (`facts.va`) for the first page that has no memory behind it,
 * `ERR_PAGEMAP_HIDDEN` when the kernel shows no frame numbers, `ERR_PAGEMAP_UNREADABLE` with the errno,
 * `ERR_PAGEMAP_MALFORMED` for a frame whose address would need more than 64 bits.
 */
export function physicalAddresses(
  va: bigint,
  pages: number,
  pageSize: bigint | number,
  options: PagemapOptions = {},
): BigUint64Array {
  known("options", object("options", options), KEYS);
  const { path = "/proc/self/pagemap", cpuPageSize = machinePageSize() } = options;
  checkPath("path", path);
  const page = size("pageSize", pageSize);
  const cpuPage = size("cpuPageSize", cpuPageSize);
  checkArguments(va, pages, page, cpuPage);
  const addresses = new BigUint64Array(pages);
  if (pages === 0) return addresses;
  readEntries(path, addresses, va / cpuPage, page / cpuPage);
  for (let i = 0; i < pages; i++) addresses[i] = addressOf(addresses[i] as bigint, va + BigInt(i) * page, cpuPage);
  return addresses;
}

function checkArguments(va: bigint, pages: number, pageSize: bigint, cpuPageSize: bigint): void {
  if (typeof va !== "bigint") throw argumentTypeError("va", "a bigint", va);
  if (typeof pages !== "number") throw argumentTypeError("pages", "a number", pages);
  if (!isPowerOfTwo(cpuPageSize) || cpuPageSize < 4096n || cpuPageSize > CPU_PAGE_MOST) {
    throw argumentRangeError("cpuPageSize", "a power of two from 4 KiB to 1 MiB", cpuPageSize);
  }
  if (!isPowerOfTwo(pageSize) || pageSize < cpuPageSize || pageSize > HUGEPAGE_MOST) {
    throw argumentRangeError(
      "pageSize",
      `a power of two from the CPU's page size, ${hex(cpuPageSize)}, to 2^40`,
      pageSize,
    );
  }
  if (!Number.isInteger(pages) || pages < 0 || pages > MOST_PAGES) {
    throw argumentRangeError("pages", `an integer from 0 to ${MOST_PAGES}`, pages);
  }
  if (va < 0n || va >= ADDRESS_SPACE || va % pageSize !== 0n) {
    throw argumentRangeError("va", `a multiple of ${hex(pageSize)} below 2^64`, va);
  }
  if (va + BigInt(pages) * pageSize > ADDRESS_SPACE) {
    throw argumentRangeError("pages", `at most what fits between ${hex(va)} and 2^64`, pages);
  }
}

/**
 * Fills `entries` with every `stride`-th entry from number `first` on. The file ends where the process's address space
 * does; entries beyond stay 0, which is "not present".
 */
function readEntries(path: string, entries: BigUint64Array, first: bigint, stride: bigint): void {
  try {
    const fd = openSync(path, "r");
    try {
      // Pages of the CPU's size have their entries in one run; of hugepages each is a run of its own.
      const run = stride === 1n ? entries.length : 1;
      for (let i = 0; i < entries.length; i += run) {
        readRun(fd, entries.subarray(i, i + run), first + BigInt(i) * stride);
      }
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    throw unreadable("ERR_PAGEMAP_UNREADABLE", path, waysOut, error);
  }
}

/**
 * Fills `entries` with those from number `first` on. That the kernel hands out whole entries only is trusted. The position
 * is exact as a bigint, and as the kernel's signed 64-bit offset too: with pages of at least 2^12 bytes it is below
 * 2^64 / 2^12 * 8 = 2^55.
 */
function readRun(fd: number, entries: BigUint64Array, first: bigint): void {
  const buffer = new Uint8Array(entries.buffer, entries.byteOffset, entries.byteLength);
  const position = first * BigInt(ENTRY_BYTES);
  let done = 0;
  while (done < buffer.length) {
    const count = readSync(fd, buffer, done, buffer.length - done, position + BigInt(done));
    if (count === 0) return;
    done += count;
  }
}

function addressOf(entry: bigint, va: bigint, cpuPage: bigint): bigint {
  if ((entry & PRESENT) === 0n) {
    const why =
      (entry & SWAPPED) === 0n
        ? "nothing was written to it yet, or nothing is mapped there"
        : "it is swapped out or just being moved";
    throw new DmaWindowError(
      "ERR_PAGE_NOT_PRESENT",
      `the page at ${hex(va)} has no physical address: ${why}. Write to every page, or lock or populate the memory, first`,
      { facts: { va } },
    );
  }
  const frame = BigInt.asUintN(FRAME_BITS, entry);
  // Frame 0 belongs to firmware or the kernel on every machine: for a user's page it means "not told".
  if (frame === 0n) {
    throw new DmaWindowError(
      "ERR_PAGEMAP_HIDDEN",
      `the page at ${hex(va)} is present, but the kernel hides its physical address from readers without ` +
        `CAP_SYS_ADMIN, and root inside a user namespace is one of them. ${waysOut}`,
      { facts: { va } },
    );
  }
  const address = frame * cpuPage;
  if (address >= ADDRESS_SPACE) {
    throw new DmaWindowError(
      "ERR_PAGEMAP_MALFORMED",
      `the page at ${hex(va)} is said to be frame ${hex(frame)}, which is beyond 2^64 with pages of ${hex(cpuPage)}`,
      { facts: { va, frame } },
    );
  }
  return address;
}
