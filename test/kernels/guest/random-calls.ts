/** What random calls of every kind have in common: memory, a session, and small choices. */
import { hex } from "../../../src/hex.ts";
import { MapFlag, Protection, VfioCall } from "../../../src/syscalls.ts";
import { Random } from "../../support/random.ts";
import type { Site } from "./site.ts";
import type { Pair, Twins } from "./twins.ts";

export interface Range {
  readonly va: bigint;
  readonly size: bigint;
}

/** Pages of ordinary memory; of these, one cannot be touched, and one not be written. */
export const PAGES = 384n;
const UNTOUCHABLE = 100n;
const READ_ONLY = 200n;

/** Hugepages, where the machine has some. */
export const HUGEPAGES = 4n;

/**
 * Addresses where nothing else is, and below the 64 TiB that a POWER kernel with pages of 4 KiB gives to a program. Each
 * seed has 4 GiB of both to itself, because a registration that one left behind would be met by the next. Hugepages lie in
 * another TiB: with the hash MMU all pages of one are of one size. Node's own memory may lie in any of them, so several are
 * tried.
 */
const HOME = 0x2000_0000_0000n;
const HUGE_HOMES = Array.from({ length: 24 }, (_, i) => 0x2100_0000_0000n + (BigInt(i) << 40n));

const CLOSED: Pair = { real: -1, model: -1 };

export abstract class RandomCalls {
  protected readonly twins: Twins;
  protected readonly random: Random;
  /** Bytes in a page of the CPU. */
  protected readonly page: bigint;
  protected readonly ordinary: Range;
  protected huge: Range | undefined;
  /** log2 of the bytes of a hugepage; 0 where there are none. */
  protected readonly hugeShift: number;
  protected container = CLOSED;
  protected group = CLOSED;
  readonly #path: string;

  constructor(site: Site, twins: Twins, seed: number) {
    this.twins = twins;
    this.random = new Random(seed);
    this.page = site.page;
    this.#path = `/dev/vfio/${site.device().group}`;
    const [shift = 0] = site.machine.hugepages[0] ?? [];
    this.hugeShift = shift;
    const home = BigInt(seed) << 32n;
    this.ordinary = { va: HOME + home, size: PAGES * this.page };
    this.#mmap(home);
  }

  /** Opens a container with the group in it, and sets its IOMMU. */
  abstract begin(): void;

  /** One call. */
  abstract step(): void;

  /** The calls that must have been answered with 0 many times, or the run has shown nothing. */
  abstract readonly essential: readonly VfioCall[];

  protected open(iommuType: number): void {
    const opened = [this.twins.open("/dev/vfio/vfio"), this.twins.open(this.#path)];
    const [container, group] = opened;
    if (typeof container !== "object" || typeof group !== "object") throw new Error(`open: ${opened.join(", ")}`);
    [this.container, this.group] = [container, group];
    this.twins.setContainer(group, container);
    this.twins.ioctl(container, VfioCall.SET_IOMMU, iommuType);
  }

  /** Closes both, in either order, with all that is live. */
  end(): void {
    const both = this.random.once(2) ? [this.container, this.group] : [this.group, this.container];
    for (const pair of both) this.twins.close(pair);
    [this.container, this.group] = [CLOSED, CLOSED];
  }

  /** Gives the memory back, also of a run that was broken off. */
  leave(): void {
    const { real } = this.twins;
    for (const { real: fd } of [this.group, this.container]) if (fd >= 0) real.close(fd);
    for (const range of [this.ordinary, this.huge]) if (range !== undefined) real.munmap(range.va, range.size);
  }

  /** Asks the container; gives the answer. */
  protected ask(call: VfioCall, bytes: Uint8Array): number {
    return this.twins.struct(this.container, call, bytes).answer;
  }

  /** Now and then a wrong one. */
  protected argsz(right: number): number {
    return this.random.once(50) ? this.pick(right - 8, right - 1, right + 8, 0) : right;
  }

  /** Memory as it is; now and then unaligned, empty, or where there can be none. */
  protected mostly(range: Range): Range {
    const wrong = this.random.below(60);
    if (wrong === 0) return { ...range, va: range.va + 512n };
    if (wrong === 1) return { ...range, size: range.size + 512n };
    if (wrong === 2) return { ...range, size: 0n };
    if (wrong === 3) return { ...range, va: -this.page };
    if (wrong === 4) return { ...range, va: 0n };
    return range;
  }

  /** `end` is below 2^32. */
  protected below(end: bigint): bigint {
    return BigInt(this.random.below(Number(end)));
  }

  protected pick<T>(...from: readonly T[]): T {
    return this.random.pick(from);
  }

  /** Through the model, which hands it on to the real kernel and writes down what it did. */
  #mmap(home: bigint): void {
    const { model } = this.twins;
    const { va, size } = this.ordinary;
    const readWrite = Protection.READ | Protection.WRITE;
    const ordinary = model.mmap(va, size, readWrite, MapFlag.FIXED_NOREPLACE, 0);
    if (ordinary !== va) throw new Error(`no memory at ${hex(va)}: errno ${-ordinary}`);
    model.mmap(va + UNTOUCHABLE * this.page, this.page, Protection.NONE, MapFlag.FIXED, 0);
    model.mmap(va + READ_ONLY * this.page, this.page, Protection.READ, MapFlag.FIXED, 0);
    if (this.hugeShift === 0) return;
    const flags = MapFlag.FIXED_NOREPLACE | MapFlag.HUGETLB;
    const hugeBytes = HUGEPAGES << BigInt(this.hugeShift);
    for (const at of HUGE_HOMES) {
      const huge = model.mmap(at + home, hugeBytes, readWrite, flags, this.hugeShift);
      if (huge < 0n) continue;
      this.huge = { va: huge, size: hugeBytes };
      return;
    }
    throw new Error(`${HUGEPAGES} hugepages are not to be had in any of ${HUGE_HOMES.length} places`);
  }
}
