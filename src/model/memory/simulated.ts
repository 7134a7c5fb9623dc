import { argumentRangeError, argumentTypeError } from "../../errors.ts";
import { bytes, hex } from "../../hex.ts";
import { MapFlag, Protection } from "../../syscalls.ts";
import { isBytes } from "../../typed-arrays.ts";
import { EEXIST, EFAULT, EINVAL, ENOMEM, EPERM } from "../errno.ts";
import { ModelUnknown } from "../errors.ts";
import { bytesOf, PAGE_BYTES, pageOf, pagesPer } from "../pages.ts";
import type { AddressSpace, Area } from "./address-space.ts";
import { type Extents, type Store, shownBy } from "./extents.ts";
import type { Frames } from "./frames.ts";
import type { HugepagePool } from "./hugepage-pool.ts";
import { addressesOf } from "./physical.ts";
import { SimulatedBacking } from "./simulated-backing.ts";
import type { MemorySource } from "./source.ts";

/**
 * Where a process's addresses end and the kernel looks for room, downwards:
 *
 *     0        64 KiB                                  0x7fff_ffff_f000
 *     | nobody's |   free ....... | area | area | area |
 */
const LOWEST_PAGE = pageOf(0x1_0000n);
const LARGEST_ADDRESS = 1n << 64n;

/** As on Linux, where the shim says no above it. */
const LONGEST_VIEW = 1n << 32n;

/** Areas of up to 16 GiB get one store for all their bytes at the first view. Nothing of it is there before it is touched. */
const GATHERED_PAGES = 2 ** 22;

/**
 * mmap and munmap as `mm/mmap.c: do_mmap, __do_munmap` and `mm/hugetlb.c` answer them, for anonymous memory, over an
 * address space that exists only here. Bytes exist from the first {@link MemorySource.view} or a device's first access on.
 *
 * Simpler than Linux in two ways: neighbouring areas stay apart, and every page is present that may be used at all.
 */
export class SimulatedMemory implements MemorySource {
  readonly #space: AddressSpace;
  readonly #pageShift: number;
  readonly #userPages: number;
  readonly #pool: HugepagePool;
  readonly #frames: Frames;
  /** Views that have not been ended, and the storage that they show. */
  readonly #views = new WeakMap<Uint8Array, Store>();
  /**
   * What a buffer's bytes were moved into when its views ended. Input and output that is under way then has a bare pointer to
   * them, and holds the old buffer: as long as that is there, they are.
   */
  readonly #movedInto = new WeakMap<ArrayBuffer, ArrayBuffer>();

  /** `userPages`: the pages of 4 KiB that a process's address space has. */
  constructor(space: AddressSpace, pageSize: number, userPages: number, pool: HugepagePool, frames: Frames) {
    this.#space = space;
    this.#userPages = userPages;
    this.#pageShift = Math.log2(pageSize);
    this.#pool = pool;
    this.#frames = frames;
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
    // As in munmap; seen for memory of any kind over a part of a hugepage, which stays then.
    if (this.#space.cutsPage(start, start + pages)) return BigInt(EINVAL);
    const hugepages = pages / pagesPer(pageShift);
    // Linux removes what was mapped there first and then looks for hugepages, so it is gone when there are none.
    this.#space.carve(start, start + pages);
    const nodes = pooled ? this.#pool.take(hugePageShift, hugepages) : undefined;
    if (pooled && nodes === undefined) return BigInt(ENOMEM);
    this.#add(start, start + pages, protection, pageShift, nodes, (flags & MapFlag.POPULATE) !== 0);
    return bytesOf(start);
  }

  munmap(address: bigint, length: bigint): number {
    checkAddress("address", address);
    checkAddress("length", length);
    if (length === 0n || address % BigInt(this.#pageBytes) !== 0n || address + length > bytesOf(this.#userPages))
      return EINVAL;
    const start = pageOf(address);
    const end = start + roundUp(length, this.#pageShift);
    // A hugepage cannot be cut: `mm/hugetlb.c: hugetlb_vm_op_split`.
    if (this.#space.cutsPage(start, end)) return EINVAL;
    this.#space.carve(start, end);
    return 0;
  }

  /** `mm/mempolicy.c: do_mbind`, with MPOL_BIND and no flags. The nodes of ordinary memory are not told apart. */
  bindNode(address: bigint, length: bigint, node: number): number {
    checkAddress("address", address);
    checkAddress("length", length);
    if (address % BigInt(this.#pageBytes) !== 0n || address + length > LARGEST_ADDRESS) return EINVAL;
    if (!(node >= 0 && node < this.#pool.nodes)) return EINVAL;
    if (length === 0n) return 0;
    const start = pageOf(address);
    const end = start + roundUp(length, this.#pageShift);
    const areas = this.#space.filling(start, end, Protection.NONE);
    if (areas === undefined) return EFAULT;
    for (const area of areas) backingOf(area).bind(Math.max(area.start, start), Math.min(area.end, end), node);
    return 0;
  }

  /**
   * Views of the same memory show the same bytes, before and after {@link unview}. A view lies in one piece of storage: where
   * there are several, and nobody looks at them, they are moved into one.
   */
  view(address: bigint, length: bigint): Uint8Array {
    checkAddress("address", address);
    checkAddress("length", length);
    const start = pageOf(address);
    const end = pageOf(address + length + BigInt(PAGE_BYTES - 1));
    const what = `${hex(address)} + ${bytes(length)}`;
    const areas = this.#space.filling(start, end, Protection.READ | Protection.WRITE);
    if (areas === undefined || areas.length === 0 || areas.some(({ absent }) => absent === true)) {
      throw argumentRangeError("view", "a range of mmapped memory, readable and writable", what);
    }
    if (length > LONGEST_VIEW) throw argumentRangeError("view", `at most ${bytes(LONGEST_VIEW)}`, what);
    const store = storeOf(areas, start, end) ?? gather(areas, start, end);
    if (store === undefined) {
      throw argumentRangeError(
        "view",
        "a range of which no part is being viewed on its own: end those views first",
        what,
      );
    }
    const view = new Uint8Array(shownBy(store), Number(address - bytesOf(store.start)), Number(length));
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
    // Bytes that the program has moved away itself are not here to be moved: its views have ended by that.
    if (store.views > 0 || store.bytes.byteLength === 0) return;
    const old = store.bytes;
    try {
      store.bytes = structuredClone(old, { transfer: [old] });
    } catch {
      return; // the program has forbidden it (markAsUntransferable): its views stay, over memory of their own from the munmap on
    }
    this.#movedInto.set(old, store.bytes);
  }

  /** `mm/madvise.c: madvise_populate`, for writing: an errno where a touch would have been a SIGBUS. */
  populate(address: bigint, length: bigint): number {
    checkAddress("address", address);
    checkAddress("length", length);
    if (address % BigInt(this.#pageBytes) !== 0n || address + length > LARGEST_ADDRESS) return EINVAL;
    const start = pageOf(address);
    const end = start + roundUp(length, this.#pageShift);
    const areas = this.#space.filling(start, end, Protection.NONE);
    if (areas === undefined) return ENOMEM;
    if (areas.some(({ protection }) => (protection & Protection.WRITE) === 0)) return EINVAL;
    const populated = areas.every(
      (area) => area.absent !== true && backingOf(area).populate(Math.max(area.start, start), Math.min(area.end, end)),
    );
    return populated ? 0 : EFAULT;
  }

  read(address: bigint, into: Uint8Array): void {
    checkArray("into", into);
    this.#eachPage("read", Protection.READ, address, into.byteLength, (bytes, at) => into.set(bytes, at));
  }

  write(address: bigint, from: Uint8Array): void {
    checkArray("from", from);
    this.#eachPage("write", Protection.WRITE, address, from.byteLength, (bytes, at) =>
      bytes.set(from.subarray(at, at + bytes.byteLength)),
    );
  }

  /** The bytes of a range, page by page, with how many of them came before. */
  #eachPage(
    name: string,
    protection: number,
    address: bigint,
    length: number,
    use: (bytes: Uint8Array, at: number) => void,
  ): void {
    checkAddress("address", address);
    if (length === 0) return;
    const first = pageOf(address);
    const end = pageOf(address + BigInt(length + PAGE_BYTES - 1));
    const areas = this.#space.filling(first, end, protection);
    if (areas === undefined || areas.some(({ absent }) => absent === true)) {
      const what = `${hex(address)} + ${bytes(BigInt(length))}`;
      throw argumentRangeError(name, "a range of mmapped memory that may be used so", what);
    }
    const before = Number(address - bytesOf(first)); // within a page
    for (let page = first; page < end; page++) {
      const at = (page - first) * PAGE_BYTES - before;
      const from = Math.max(0, -at);
      const to = Math.min(PAGE_BYTES, length - at);
      const area = this.#space.areas.at(page) as Area;
      use(extentsOf(area).page(page).subarray(from, to), at + from);
    }
  }

  physicalAddresses(va: bigint, pages: number, pageSize: number): BigUint64Array {
    return addressesOf(this.#space, va, pages, pageSize, this.#pageBytes);
  }

  get #pageBytes(): number {
    return 2 ** this.#pageShift;
  }

  /** The page to map at, or a negative errno. */
  #place(address: bigint, pages: number, pageShift: number, flags: number): number {
    const unit = pagesPer(pageShift);
    const top = Math.floor(this.#userPages / unit) * unit;
    if ((flags & (MapFlag.FIXED | MapFlag.FIXED_NOREPLACE)) !== 0) {
      if (address % (BigInt(unit) << 12n) !== 0n) return EINVAL;
      const start = pageOf(address);
      if (start + pages > this.#userPages) return ENOMEM;
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

  /** `nodes`: where its hugepages are from, for memory of the pool. Those that a cgroup does not let be present are an area of their own. */
  #add(
    start: number,
    end: number,
    protection: number,
    pageShift: number,
    nodes: Uint16Array | undefined,
    present: boolean,
  ): void {
    const parts = { space: this.#space, pageShift, frames: this.#frames, pool: nodes && this.#pool, present };
    const unit = pagesPer(pageShift);
    const some = nodes === undefined ? (end - start) / unit : this.#pool.makePresent(pageShift, (end - start) / unit);
    const border = start + some * unit;
    if (start < border) {
      const backing = new SimulatedBacking({ ...parts, start, end: border, nodes: nodes?.slice(0, some) });
      this.#space.add({ start, end: border, protection, backing, pinnable: true, ofDevice: false });
    }
    if (border < end) {
      const backing = new SimulatedBacking({ ...parts, start: border, end, nodes: nodes?.slice(some), absent: true });
      this.#space.add({ start: border, end, protection, backing, pinnable: false, ofDevice: false, absent: true });
    }
  }
}

/** Pages of 4 KiB in `length`, rounded up to whole pages of `shift`. */
function roundUp(length: bigint, shift: number): number {
  const unit = 1n << BigInt(shift);
  return pageOf(((length + unit - 1n) / unit) * unit);
}

/** The one store that holds the bytes of [start, end); `undefined` when there are several, or none yet. */
function storeOf(areas: readonly Area[], start: number, end: number): Store | undefined {
  const stores = areas.map((area) => extentsOf(area).storeOf(Math.max(area.start, start), Math.min(area.end, end)));
  return stores.every((store) => store === stores[0]) ? stores[0] : undefined;
}

/**
 * Moves the bytes of whole areas into one store, so that later views of any part of them need no other; of large areas, and
 * beside views that are open, those of [start, end) alone. `undefined` when a view is in the way.
 */
function gather(areas: readonly Area[], start: number, end: number): Store | undefined {
  const first = (areas[0] as Area).start;
  const last = (areas[areas.length - 1] as Area).end;
  if (last - first <= GATHERED_PAGES && !isViewed(areas, first, last)) {
    const whole = room(first, last);
    if (whole !== undefined) return moveInto(areas, whole, first, last);
  }
  const part = isViewed(areas, start, end) ? undefined : room(start, end);
  return part && moveInto(areas, part, start, end);
}

/** Storage for the bytes of [start, end); `undefined` where this process has none. */
function room(start: number, end: number): Store | undefined {
  try {
    return { bytes: new ArrayBuffer((end - start) * PAGE_BYTES), start, views: 0 };
  } catch {
    return undefined; // a RangeError: no memory for as much
  }
}

function moveInto(areas: readonly Area[], store: Store, start: number, end: number): Store {
  for (const area of areas) {
    extentsOf(area).moveTo(store, Math.max(area.start, start), Math.min(area.end, end));
  }
  return store;
}

function isViewed(areas: readonly Area[], start: number, end: number): boolean {
  return areas.some((area) => extentsOf(area).isViewed(Math.max(area.start, start), Math.min(area.end, end)));
}

/** All areas of simulated memory are {@link SimulatedMemory}'s own. */
function backingOf({ backing }: Area): SimulatedBacking {
  return backing as SimulatedBacking;
}

function extentsOf(area: Area): Extents {
  return backingOf(area).extents;
}

function checkArray(name: string, array: unknown): void {
  if (!isBytes(array)) throw argumentTypeError(name, "a Uint8Array", array);
}

function checkAddress(name: string, value: bigint): void {
  if (value < 0n || value >= LARGEST_ADDRESS) throw argumentRangeError(name, "0..2^64-1", value);
}
