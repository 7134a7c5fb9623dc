/**
 * Looks at every call that reaches the kernel, reads the same bytes, and finds fault with those that should never have been
 * made. It asks the model what is live, and knows nothing of the library.
 *
 *     library --> faults --> guard --> model
 *                              |         |
 *                              +---------+-- which IOVAs a call wrote, which ones went (watch)
 */
import { hex } from "../../src/hex.ts";
import type { ModelKernel } from "../../src/model/index.ts";
import { MapFlag } from "../../src/syscalls.ts";
import { type Passing, Through } from "../../src/through.ts";
import { Space } from "./space.ts";

/** Pages of 4 KiB: numbers below 2^52, exact. */
const pageOf = (address: bigint): number => Number(address >> 12n);

/** An IOVA that a call wrote or that went away, by the group whose devices see it. */
export interface Touched {
  readonly group: number;
  readonly iovaPage: number;
  /** Pages of 4 KiB. */
  readonly pages: number;
  /** Whether it was live before, and is not now. */
  readonly lost: boolean;
}

/** A window, in pages of 4 KiB. */
export interface Stretch {
  readonly start: number;
  readonly end: number;
  /** In one of its pages. */
  readonly unit: number;
}

interface Seen {
  readonly groups: number[];
  /** Start and size that were asked for, in pages of 4 KiB: what the kernel's table covers may be more. */
  readonly windows: Stretch[];
  /** The window that is there at first, or another one in its place. */
  hasDefault: boolean;
}

export class Guard extends Through {
  readonly model: ModelKernel;
  /** What should never have been asked, in sentences. */
  readonly wrong: string[] = [];
  readonly touched: Touched[] = [];
  /** Memory that was mmapped through here and not unmapped again. */
  readonly space = new Space();
  /** The part of it that has pages, and not only addresses. */
  readonly present = new Space();
  /** No IOMMU: there is nothing to ask the kernel about maps. */
  mapsNothing = false;
  /** The interface throws: an UNMAP may be for what went already, or never came, so as to be sure. */
  asksToBeSure = false;
  /** Memory in a range, in pages of 4 KiB, that a device could still reach. */
  reached: ((page: number, pages: number) => bigint | undefined) | undefined;
  /** Where the kernel knows of no windows: those that the program has. */
  planned: ((group: number) => readonly Stretch[]) | undefined;
  readonly #groups = new Map<number, number>();
  readonly #containers = new Map<number, Seen>();
  #current: Seen | undefined;

  constructor(model: ModelKernel) {
    super(model);
    this.model = model;
    model.watch(({ kind, call, iova, length }) => {
      if (kind === "replaced") this.wrong.push(`${call} made ${hex(iova)} lead to other memory while it was live`);
      const [group = -1] = this.#current?.groups ?? [];
      this.touched.push({ group, iovaPage: pageOf(iova), pages: pageOf(length), lost: true });
    });
  }

  protected pass<R extends number | bigint>(call: Passing, make: () => R): R {
    const { name, fd = -1 } = call;
    this.#current = this.#containers.get(fd) ?? this.#containerOf(this.#groups.get(fd));
    this.#look(call, this.#current);
    const answer = make();
    if (name === "mmap" || answer === 0 || name === "open") this.#done(call, this.#current, answer);
    return answer;
  }

  #containerOf(group: number | undefined): Seen | undefined {
    if (group === undefined) return undefined;
    for (const seen of this.#containers.values()) if (seen.groups.includes(group)) return seen;
    return undefined;
  }

  /** Before the kernel sees it. */
  #look(call: Passing, seen: Seen | undefined): void {
    const { name } = call;
    if (this.mapsNothing && name.startsWith("VFIO_IOMMU_")) this.wrong.push(`${name} went out without an IOMMU`);
    else if (name === "munmap" || (name === "mmap" && isFixed(call))) this.#lookAtMemory(call);
    else if (name === "VFIO_IOMMU_MAP_DMA") this.#lookAtRange(call, seen, u64(call, 16), u64(call, 24), false);
    else if (name === "VFIO_IOMMU_UNMAP_DMA") this.#lookAtRange(call, seen, u64(call, 8), u64(call, 16), true);
    else if (name === "VFIO_IOMMU_SPAPR_TCE_REMOVE") this.#lookAtRemoval(u64(call, 8), seen);
  }

  /** Memory that goes, or only its pages, was unmapped before. */
  #lookAtMemory({ name, va = 0n, length = 0n }: Passing): void {
    const reached = this.reached?.(pageOf(va), pageOf(length));
    if (reached !== undefined) this.wrong.push(`${name} of ${hex(va)}+${hex(length)} while ${hex(reached)} is mapped`);
  }

  /** A MAP may touch no live page, an UNMAP only live ones; neither may reach past a window's end. */
  #lookAtRange({ name }: Passing, seen: Seen | undefined, iova: bigint, size: bigint, live: boolean): void {
    const [start, pages] = [pageOf(iova), pageOf(size)];
    const group = seen?.groups[0] ?? -1;
    const windows = this.planned?.(group) ?? seen?.windows;
    const window = windows?.find((one) => start >= one.start && start < one.end);
    const range = `${name} of ${hex(iova)}+${hex(size)}`;
    if (window === undefined) this.wrong.push(`${range} begins in no window`);
    else if (start + pages > window.end) this.wrong.push(`${range} runs past its window's end`);
    else if (pages === 0) this.wrong.push(`${range} is empty`);
    else {
      for (let page = start; page < start + pages; page += window.unit) {
        const reached = this.model.tceAt(group, BigInt(page) << 12n);
        if ((reached !== undefined) !== live && !(live && this.asksToBeSure))
          this.wrong.push(`${range} meets a page that is ${live ? "not live" : "live"}: ${hex(BigInt(page) << 12n)}`);
        if (!live) this.touched.push({ group, iovaPage: page, pages: window.unit, lost: false });
      }
    }
  }

  #lookAtRemoval(start: bigint, seen: Seen | undefined): void {
    const container = this.model.snapshot().containers.find(({ groups }) => groups[0] === seen?.groups[0]);
    const window = container?.windows.find((one) => start >= one.start && start < one.start + one.size);
    if (window !== undefined && window.liveTces > 0)
      this.wrong.push(`TCE_REMOVE of ${hex(start)} with ${window.liveTces} live TCEs in it`);
  }

  /** Whether the container of a group has its default window, or has made one at 0 since. */
  hasDefault(group: number): boolean {
    return this.#containerOf(group)?.hasDefault ?? false;
  }

  /** After it succeeded. */
  #done(call: Passing, seen: Seen | undefined, answer: number | bigint): void {
    const { name, fd = -1, path = "", va = 0n, length = 0n } = call;
    if (name === "open" && answer >= 0) {
      if (path === "/dev/vfio/vfio")
        this.#containers.set(Number(answer), { groups: [], windows: [], hasDefault: true });
      else this.#groups.set(Number(answer), Number(path.split(/[/-]/).at(-1)));
    } else if (name === "close") {
      const group = this.#groups.get(fd);
      if (seen !== undefined && group !== undefined) seen.groups.splice(seen.groups.indexOf(group), 1);
      this.#groups.delete(fd);
      this.#containers.delete(fd);
    } else if (name === "VFIO_GROUP_SET_CONTAINER") {
      this.#containers.get(u32(call, 0))?.groups.push(this.#groups.get(fd) ?? -1);
    } else if (name === "VFIO_IOMMU_SPAPR_TCE_CREATE") {
      const start = pageOf(u64(call, 32));
      if (seen !== undefined && start === 0) seen.hasDefault = true;
      seen?.windows.push({ start, end: start + pageOf(u64(call, 16)), unit: 2 ** (u32(call, 8) - 12) });
    } else if (name === "VFIO_IOMMU_SPAPR_TCE_REMOVE") {
      const at = seen?.windows.findIndex((one) => one.start === pageOf(u64(call, 8))) ?? -1;
      if (at >= 0) seen?.windows.splice(at, 1);
      else if (seen !== undefined) seen.hasDefault = false;
    } else if (name === "mmap" && BigInt(answer) > 0n) {
      const [page, pages] = [pageOf(BigInt(answer)), pageOf(length)];
      this.space.add(page, pages);
      if ((call.protection ?? 0) !== 0) this.present.add(page, pages);
      else this.present.remove(page, pages);
    } else if (name === "munmap") {
      this.space.remove(pageOf(va), pageOf(length));
      this.present.remove(pageOf(va), pageOf(length));
    }
  }
}

/** Whether it takes away what is there. */
function isFixed({ flags = 0 }: Passing): boolean {
  return (flags & MapFlag.FIXED) !== 0;
}

function viewOf({ memory }: Passing): DataView {
  const bytes = memory as Uint8Array;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function u32(call: Passing, at: number): number {
  return viewOf(call).getUint32((call.at ?? 0) + at, true);
}

function u64(call: Passing, at: number): bigint {
  return viewOf(call).getBigUint64((call.at ?? 0) + at, true);
}
