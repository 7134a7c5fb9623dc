import { argumentRangeError, argumentTypeError } from "../../errors.ts";
import { bytes, hex } from "../../hex.ts";
import { MapFlag, Protection } from "../../syscalls.ts";
import { EEXIST, EINVAL, ENOMEM, EPERM } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import { bytesOf, PAGE_BYTES, pageOf, pagesPer } from "../pages.ts";
import type { AddressSpace, Area, Store } from "./address-space.ts";
import type { HugepagePool } from "./hugepage-pool.ts";
import type { MemorySource } from "./source.ts";

/**
 * Where a process's addresses end and the kernel looks for room, downwards:
 *
 *     0        64 KiB                                  0x7fff_ffff_f000
 *     | nobody's |   free ....... | area | area | area |
 */
const LOWEST_PAGE = pageOf(0x1_0000n);
const TOP = 0x7fff_ffff_f000n;
const LARGEST_ADDRESS = 1n << 64n;

/**
 * mmap and munmap as `mm/mmap.c: do_mmap, __do_munmap` and `mm/hugetlb.c` answer them, for anonymous memory, over an
 * address space that exists only here. Bytes exist from the first {@link MemorySource.view} on.
 *
 * Simpler than Linux in two ways: hugepages go back to the pool at munmap even while a device still has them pinned,
 * and neighbouring areas stay apart.
 */
export class SimulatedMemory implements MemorySource {
  readonly #space: AddressSpace;
  readonly #pageShift: number;
  readonly #pool: HugepagePool;
  /** Views that have not been ended, and the storage that they show. */
  readonly #views = new WeakMap<Uint8Array, Store>();

  constructor(space: AddressSpace, pageSize: number, pool: HugepagePool) {
    this.#space = space;
    this.#pageShift = Math.log2(pageSize);
    this.#pool = pool;
  }

  mmap(address: bigint, length: bigint, protection: number, flags: number, hugePageShift: number): bigint {
    checkAddress("address", address);
    checkAddress("length", length);
    const huge = (flags & MapFlag.HUGETLB) !== 0;
    if (huge && hugePageShift === 0)
      throw new ModelUnknown("mmap with HUGETLB and no page size: which one is the default");
    if (huge && !this.#pool.has(hugePageShift)) return BigInt(EINVAL);
    if (length === 0n) return BigInt(EINVAL);
    const pageShift = huge ? hugePageShift : this.#pageShift;
    const pages = roundUp(length, pageShift);
    // A reservation without swap space takes its hugepages only when it is touched, which PROT_NONE never is.
    const pooled = huge && !(protection === Protection.NONE && (flags & MapFlag.NORESERVE) !== 0);
    const start = this.#place(address, pages, pageShift, flags);
    if (start < 0) return BigInt(start);
    const hugepages = pages / pagesPer(pageShift);
    // Linux removes what was mapped there first and then looks for hugepages, so it is gone when there are none.
    const replaced = this.#space.carve(start, start + pages);
    this.#giveBack(replaced);
    if (pooled && !this.#pool.take(hugePageShift, hugepages)) return BigInt(ENOMEM);
    this.#space.areas.insert({ start, end: start + pages, protection, pageShift, pooled, store: undefined });
    return bytesOf(start);
  }

  munmap(address: bigint, length: bigint): number {
    checkAddress("address", address);
    checkAddress("length", length);
    if (length === 0n || address % BigInt(this.#pageBytes) !== 0n || address + length > TOP) return EINVAL;
    const start = pageOf(address);
    const end = start + roundUp(length, this.#pageShift);
    // A hugepage cannot be cut: `mm/hugetlb.c: hugetlb_vm_op_split`.
    for (const edge of [start, end]) {
      const area = this.#space.areas.at(edge);
      if (area !== undefined && edge > area.start && edge % pagesPer(area.pageShift) !== 0) return EINVAL;
    }
    this.#giveBack(this.#space.carve(start, end));
    return 0;
  }

  /**
   * Views of the same memory show the same bytes, before and after {@link unview}. The first view of some areas gives
   * all of them one piece of storage; a later view may not run from one piece into the next.
   */
  view(address: bigint, length: bigint): Uint8Array {
    checkAddress("address", address);
    checkAddress("length", length);
    const end = pageOf(address + length + BigInt(PAGE_BYTES - 1));
    const areas = this.#space.filling(pageOf(address), end, Protection.READ | Protection.WRITE);
    const [first] = areas ?? [];
    if (areas === undefined || first === undefined) {
      throw argumentRangeError(
        "view",
        "a range of mmapped memory, readable and writable",
        `${hex(address)} + ${bytes(length)}`,
      );
    }
    if (areas.every((area) => area.store === undefined)) giveStore(areas);
    const store = first.store;
    if (store === undefined || areas.some((area) => area.store !== store)) {
      throw argumentRangeError(
        "view",
        "a range of simulated memory of which no part was viewed on its own before",
        `${hex(address)} + ${bytes(length)}`,
      );
    }
    const view = new Uint8Array(store.bytes, Number(address - bytesOf(store.start)), Number(length));
    this.#views.set(view, store);
    store.views++;
    return view;
  }

  /**
   * Ends a view. Its length is 0 as soon as no other view of the same piece of storage is left: the bytes move to a new
   * buffer then, without a copy, which is the only way to end the old one's views.
   */
  unview(view: Uint8Array): void {
    const store = view instanceof Uint8Array ? this.#views.get(view) : undefined;
    if (store === undefined) throw argumentTypeError("view", "a view that this kernel made and has not ended", view);
    this.#views.delete(view);
    store.views--;
    if (store.views === 0) store.bytes = structuredClone(store.bytes, { transfer: [store.bytes] });
  }

  physicalAddresses(): BigUint64Array {
    throw new ModelUnknown("the physical address of simulated memory");
  }

  get #pageBytes(): number {
    return 2 ** this.#pageShift;
  }

  /** The page to map at, or a negative errno. */
  #place(address: bigint, pages: number, pageShift: number, flags: number): number {
    const unit = pagesPer(pageShift);
    const top = Math.floor(pageOf(TOP) / unit) * unit;
    if ((flags & (MapFlag.FIXED | MapFlag.FIXED_NOREPLACE)) !== 0) {
      if (address % (BigInt(unit) << 12n) !== 0n) return EINVAL;
      const start = pageOf(address);
      if (start + pages > pageOf(TOP)) return ENOMEM;
      if (start < LOWEST_PAGE) return EPERM;
      const taken = this.#space.areas.overlapping(start, start + pages) !== undefined;
      return taken && (flags & MapFlag.FIXED_NOREPLACE) !== 0 ? EEXIST : start;
    }
    const hint = Math.ceil(pageOf(address) / unit) * unit;
    const isFree = this.#space.areas.overlapping(hint, hint + pages) === undefined;
    if (hint >= LOWEST_PAGE && hint + pages <= top && isFree) return hint;
    return this.#highestRoom(top, pages, unit);
  }

  /** Looks at the gaps from above: as many steps as there are areas above the first that is large enough. */
  #highestRoom(top: number, pages: number, unit: number): number {
    let ceiling = top;
    for (const area of this.#space.areas.backwards()) {
      const start = Math.floor((ceiling - pages) / unit) * unit;
      if (start >= area.end && start >= LOWEST_PAGE) return start;
      ceiling = Math.min(ceiling, area.start);
    }
    const start = Math.floor((ceiling - pages) / unit) * unit;
    return start >= LOWEST_PAGE ? start : ENOMEM;
  }

  #giveBack(areas: readonly Area[]): void {
    for (const { pooled, pageShift, start, end } of areas) {
      if (pooled) this.#pool.giveBack(pageShift, (end - start) / pagesPer(pageShift));
    }
  }
}

/** Pages of 4 KiB in `length`, rounded up to whole pages of `shift`. */
function roundUp(length: bigint, shift: number): number {
  const unit = 1n << BigInt(shift);
  return pageOf(((length + unit - 1n) / unit) * unit);
}

function giveStore(areas: readonly Area[]): void {
  const start = (areas[0] as Area).start;
  const end = (areas[areas.length - 1] as Area).end;
  const store: Store = { bytes: new ArrayBuffer((end - start) * PAGE_BYTES), start, views: 0 };
  for (const area of areas) area.store = store;
}

function checkAddress(name: string, value: bigint): void {
  if (value < 0n || value >= LARGEST_ADDRESS) throw argumentRangeError(name, "0..2^64-1", value);
}
