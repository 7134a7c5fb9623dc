import { core, NO_ADDRESS, Owner, Status } from "../core.ts";
import { argumentRangeError, argumentTypeError, DmaWindowError } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { IovaMode, WindowPlan } from "../plan/index.ts";
import { address, boolean, object, size } from "../validate.ts";
import type { MadeWindow } from "./backend/backend.ts";
import { lasting, outOfMemory, performMaps, performUnmaps, requestColumns, rows, type Target } from "./calls.ts";

/** Memory to be mapped. All of it whole pages of the window. */
export interface MapRequest {
  /** Where the memory is. */
  readonly va: bigint;
  /** Bytes. */
  readonly length: bigint | number;
  /**
   * Where the device shall find it. Default: in IOVA mode `rebased` the lowest IOVAs that are free, in mode `va` the
   * virtual address. Mode `pa` needs it; but without an IOMMU the memory's physical address is asked for, and an IOVA that is
   * given must be that.
   */
  readonly iova?: bigint;
  /** Whether the device may read it. Default: true. */
  readonly read?: boolean;
  /** Whether the device may write it. Default: true. Some IOMMUs (VT-d) let a device read what it may only write. */
  readonly write?: boolean;
}

/**
 * What is to be unmapped: whole pages that are mapped, at one offset from their memory. Runs of several maps, and parts of
 * one, too; on type1 whole maps only.
 */
export interface UnmapRequest {
  readonly iova: bigint;
  /** Bytes. */
  readonly length: bigint | number;
  /** The memory that is expected there. Default: whatever is there. */
  readonly va?: bigint;
}

/** A run of IOVAs, and the memory behind it. Neighbours that belong together are one run, however they were mapped. */
export interface MappedRun {
  readonly va: bigint;
  readonly iova: bigint;
  readonly length: bigint;
}

/** How many runs are taken from the core's tables at a time. */
const RUNS = 1024;

/** How many addresses translateInto takes into wasm memory at a time. */
const LANES = 4096;

/**
 * A DMA window: IOVAs that a device can use, and the memory behind them. Made by `container.createWindow(plan)`.
 *
 * Its size never changes, and no map is touched but by its own unmap. The core's tables are the only record of what is
 * mapped; after every call, also one that failed, they say what the kernel has.
 */
export class Window {
  /** First IOVA: where the kernel put the window, which may not be where the plan expected it. */
  readonly start: bigint;
  /** Bytes. */
  readonly size: bigint;
  /** log2 of the bytes of a page of the window. */
  readonly pageShift: number;
  readonly levels: number;
  readonly iovaMode: IovaMode;
  /** Address bits that a device must have to reach all of the window. */
  readonly dmaMaskBits: number;

  /** @internal */
  readonly target: Target;
  readonly #remove: (window: Window) => DmaWindowError | undefined;
  #open = true;

  /**
   * @internal Made by a container. `remove` ends what depends on the window and removes it from the kernel; it gives an error
   * where that went well and something stays locked all the same.
   */
  constructor(
    plan: Pick<WindowPlan, "size" | "pageShift" | "levels" | "iovaMode">,
    { start, forbidden, allowed }: Pick<MadeWindow, "start" | "forbidden" | "allowed">,
    owner: Pick<Target, "kernel" | "containerFd" | "container" | "kind">,
    remove: (window: Window) => DmaWindowError | undefined,
  ) {
    this.start = start;
    this.size = plan.size;
    this.pageShift = plan.pageShift;
    this.levels = plan.levels;
    this.iovaMode = plan.iovaMode;
    this.dmaMaskBits = core.maskBits(start + plan.size - 1n);
    const window = core.windowOpen(owner.container, start, plan.size, plan.pageShift);
    if (window <= 0) {
      throw new DmaWindowError(
        window === -Status.OUT_OF_MEMORY ? "ERR_OUT_OF_MEMORY" : "ERR_TOO_LARGE",
        `no bookkeeping for a window of ${bytes(plan.size)} at ${hex(start)} with pages of ${bytes(1n << BigInt(plan.pageShift))}`,
      );
    }
    this.target = { ...owner, window, start, size: plan.size, pageShift: plan.pageShift, forbidden, allowed };
    this.#remove = remove;
    for (const hole of forbidden) {
      if (core.windowReserve(window, hole.start, hole.last - hole.start + 1n) === Status.OK) continue;
      core.windowForget(window);
      throw outOfMemory(`what may not be mapped in a window of ${bytes(plan.size)}`);
    }
  }

  get closed(): boolean {
    return !this.#open;
  }

  /** Whether `length` bytes from `iova` lie in the window. Also for an end at 2^64, or past it. */
  contains(iova: bigint, length: bigint | number): boolean {
    return core.windowContains(this.#handle(), address("iova", iova), size("length", length)) === 1;
  }

  /** Bytes from `iova` to the window's end; 0n outside. */
  headroom(iova: bigint): bigint {
    return core.windowHeadroom(this.#handle(), address("iova", iova));
  }

  /** Bytes that are mapped. */
  get liveBytes(): bigint {
    return core.windowLiveTces(this.#handle()) << BigInt(this.pageShift);
  }

  /** Bytes of the largest run of IOVAs that is neither mapped nor set aside for an attached memory. */
  get largestHole(): bigint {
    return core.windowLargestHole(this.#handle());
  }

  /**
   * Lets the device use memory, and gives the IOVA. In one crossing: on sPAPR one REGISTER (where the memory is not
   * registered yet) and one MAP; on type1 one MAP; without an IOMMU no call, and the physical address of every page is read.
   *
   * @throws before the kernel is asked, with nothing changed: `ERR_OUTSIDE_WINDOW`, `ERR_ALREADY_LIVE`,
   * `ERR_VA_ALREADY_MAPPED`, `ERR_UNALIGNED_VA`, `_IOVA`, `_LENGTH`, `ERR_ZERO_LENGTH`, `ERR_WRAPS`, `ERR_NO_HOLE`,
   * `ERR_RESERVED`, `ERR_PARTLY_REGISTERED`, `ERR_STALE_REGISTRATION`, `ERR_BAD_PERMISSION`; on type1 also
   * `ERR_OUTSIDE_RANGES` for IOVAs that the IOMMU does not allow (`facts.ranges` has those that it does). All have
   * `facts`: index, va, iova, length.
   * @throws without an IOMMU, likewise: `ERR_NOT_CONTIGUOUS` (facts: va, physical, expected), `ERR_PHYSICAL_MISMATCH`
   * (va, iova, physical), `ERR_PHYSICAL_UNKNOWN` (va), and what the kernel's `physicalAddresses` throws.
   * @throws `ERR_KERNEL`, `ERR_PINNED_PARTLY` when the kernel said no: everything is undone, or `residue` says what is not.
   */
  map(request: MapRequest): bigint {
    const [iova] = this.mapMany([request]);
    return iova as bigint;
  }

  /** Maps all of them, or none, in one crossing: see {@link map}. Gives their IOVAs, in the same order. */
  mapMany(requests: readonly MapRequest[]): bigint[] {
    this.#handle();
    if (!Array.isArray(requests)) throw argumentTypeError("requests", "an array", requests);
    // Array.from and not map, which passes over the holes of an array: their rows would be those of an earlier call.
    const checked = Array.from(requests, (request, i) => this.#mapRow(`requests[${i}]`, request));
    const { vas, iovas, lengths, permissions } = requestColumns(checked.length);
    checked.forEach((row, i) => {
      [vas[i], iovas[i], lengths[i], permissions[i]] = row;
    });
    performMaps(this.target, checked.length, Owner.PROGRAM);
    return [...rows(checked.length).iovas];
  }

  #mapRow(name: string, request: MapRequest): [bigint, bigint, bigint, number] {
    object(name, request);
    const va = address(`${name}.va`, request.va);
    const length = size(`${name}.length`, request.length);
    const read = request.read === undefined || boolean(`${name}.read`, request.read);
    const write = request.write === undefined || boolean(`${name}.write`, request.write);
    return [va, this.#iovaFor(name, request), length, (read ? 1 : 0) | (write ? 2 : 0)];
  }

  #iovaFor(name: string, request: MapRequest): bigint {
    if (request.iova !== undefined) {
      const iova = address(`${name}.iova`, request.iova);
      if (iova === NO_ADDRESS) throw argumentRangeError(`${name}.iova`, "the first byte of a page", iova);
      return iova;
    }
    if (this.target.kind === "noiommu") return NO_ADDRESS;
    if (this.iovaMode === "pa") throw argumentTypeError(`${name}.iova`, "a bigint in IOVA mode pa", undefined);
    return this.iovaMode === "va" ? request.va : NO_ADDRESS;
  }

  /**
   * Ends a device's use of memory. One UNMAP, and on sPAPR one UNREGISTER for each registration of which nothing is mapped
   * any more, in one crossing. Without an IOMMU no call: the window forgets it, and the device is not stopped.
   *
   * @throws before the kernel is asked, with nothing changed: `ERR_NOT_LIVE` (also for a hole within), `ERR_VA_MISMATCH`
   * (other memory is there, or memory at different offsets), `ERR_OUTSIDE_WINDOW`, `ERR_UNALIGNED_...`, `ERR_RESERVED`; on
   * type1 also `ERR_CUTS_MAP` for a range that begins or ends inside a map (facts: mapIova, mapLength), `ERR_OUTSIDE_RANGES`.
   * @throws `ERR_KERNEL` when the kernel said no; `residue` says what is still mapped or locked. `ERR_STILL_REGISTERED`
   * when all is unmapped, and only a registration could not be ended. `ERR_UNMAP_SIZE` (type1; facts: iova, length, unmapped)
   * when the kernel unmapped another length than was asked for: all of it is gone, or `residue` says what may not be.
   */
  unmap(request: UnmapRequest): void {
    this.unmapMany([request]);
  }

  /** Unmaps all of them, in order, in one crossing: see {@link unmap}. A failure of the kernel ends it there. */
  unmapMany(requests: readonly UnmapRequest[]): void {
    this.#handle();
    if (!Array.isArray(requests)) throw argumentTypeError("requests", "an array", requests);
    const checked = Array.from(requests, (request, i): [bigint, bigint, bigint] => {
      const name = `requests[${i}]`;
      object(name, request);
      const iova = address(`${name}.iova`, request.iova);
      const length = size(`${name}.length`, request.length);
      const va = request.va === undefined ? this.#memoryAt(iova) : address(`${name}.va`, request.va);
      return [va, iova, length];
    });
    const { vas, iovas, lengths } = requestColumns(checked.length);
    checked.forEach((row, i) => {
      [vas[i], iovas[i], lengths[i]] = row;
    });
    const leftover = performUnmaps(this.target, checked.length, Owner.PROGRAM);
    if (leftover) throw leftover;
  }

  /** The page of memory at an IOVA. Where nothing is mapped it is any: the core then says that it is not live. */
  #memoryAt(iova: bigint): bigint {
    const va = core.windowReverse(this.target.window, iova);
    return va === NO_ADDRESS ? 0n : (va >> BigInt(this.pageShift)) << BigInt(this.pageShift);
  }

  /** The IOVA of an address; `undefined` when it is not mapped. Any byte, not only the first of a page. */
  translate(va: bigint): bigint | undefined {
    const iova = core.windowTranslate(this.#handle(), address("va", va));
    return iova === NO_ADDRESS ? undefined : iova;
  }

  /** The IOVA of an address that is mapped. @throws `ERR_NOT_LIVE` when it is not. */
  iovaOf(va: bigint): bigint {
    const iova = this.translate(va);
    if (iova !== undefined) return iova;
    throw new DmaWindowError("ERR_NOT_LIVE", `the memory at ${hex(va)} is not mapped in this window; map it first`, {
      facts: { va },
    });
  }

  /** The memory behind an IOVA; `undefined` when nothing is mapped there. */
  vaOf(iova: bigint): bigint | undefined {
    const va = core.windowReverse(this.#handle(), address("iova", iova));
    return va === NO_ADDRESS ? undefined : va;
  }

  /**
   * Translates addresses in bulk, without garbage: `iovas[i]` is the IOVA of `vas[i]`, or 2^64 - 1 where it is not
   * mapped. Returns how many are. One crossing, and two copies, for each 4096 addresses.
   */
  translateInto(vas: BigUint64Array, iovas: BigUint64Array): number {
    const window = this.#handle();
    if (!(vas instanceof BigUint64Array)) throw argumentTypeError("vas", "a BigUint64Array", vas);
    if (!(iovas instanceof BigUint64Array)) throw argumentTypeError("iovas", "a BigUint64Array", iovas);
    if (iovas.length < vas.length) throw argumentRangeError("iovas.length", `at least ${vas.length}`, iovas.length);
    const room = Math.min(LANES, vas.length);
    requestColumns(room);
    let found = 0;
    for (let at = 0; at < vas.length; at += LANES) {
      const lanes = Math.min(LANES, vas.length - at);
      const columns = rows(lanes);
      columns.vas.set(vas.subarray(at, at + lanes));
      found += core.windowTranslateMany(window, core.vaColumn(), core.iovaColumn(), lanes);
      iovas.set(columns.iovas, at); // translating takes no memory: the columns are still there
    }
    return found;
  }

  /** Everything that is mapped, by IOVA. Neighbours at one offset from their memory are one run. */
  *maps(): Generator<MappedRun, void, void> {
    let from: bigint | undefined = this.start;
    while (from !== undefined) {
      const runs = this.#runs(from);
      yield* runs;
      from = runs.length < RUNS ? undefined : this.#after(runs.at(-1));
    }
  }

  #runs(from: bigint): MappedRun[] {
    const window = this.#handle();
    const { vas, iovas, lengths } = requestColumns(RUNS);
    const found = core.listMaps(window, from, RUNS); // takes no memory: the columns are still there
    return Array.from({ length: found }, (_, i) => ({
      va: vas[i] as bigint,
      iova: iovas[i] as bigint,
      length: lengths[i] as bigint,
    }));
  }

  #after(run: MappedRun | undefined): bigint | undefined {
    if (run === undefined) return undefined;
    const next = run.iova + run.length;
    return next > this.start + this.size - 1n ? undefined : next;
  }

  /**
   * Unmaps everything, detaches what is attached, and removes the window. Only then, so nothing live is ever in a window
   * that goes. The device must be idle. Once more does nothing.
   *
   * @throws `ERR_WINDOW_IN_USE` when something could not be unmapped: the window stays, and `residue` says what is in it.
   * `ERR_KERNEL` when an attached memory could not be unmapped, or the window not be removed: it stays too.
   * `ERR_STILL_REGISTERED` when it is closed, and only registrations could not be ended.
   */
  close(): void {
    if (!this.#open) return;
    const leftover = this.#remove(this);
    this.#open = false;
    if (leftover) throw leftover;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /**
   * @internal Unmaps all runs, past those that cannot be. `errors` are those that left something mapped, `leftover` is one
   * that did not.
   */
  unmapAll(): { readonly errors: readonly DmaWindowError[]; readonly leftover: DmaWindowError | undefined } {
    const errors: DmaWindowError[] = [];
    let leftover: DmaWindowError | undefined;
    let from: bigint | undefined = this.start;
    while (from !== undefined) {
      const runs = this.#runs(from); // and they stand in the request columns
      if (runs.length === 0) break;
      try {
        leftover = lasting(performUnmaps(this.target, runs.length, Owner.WINDOW)) ?? leftover;
        from = this.#after(runs.at(-1));
      } catch (error) {
        if (!(error instanceof DmaWindowError)) throw error;
        errors.push(error);
        // What is left begins at the first of these runs that is still there: pass over that one.
        const stuck = runs.find((run) => core.windowReverse(this.target.window, run.iova) !== NO_ADDRESS);
        from = this.#after(stuck ?? runs.at(-1));
      }
    }
    return { errors, leftover };
  }

  /** @internal The container has gone, and with it all that was mapped. */
  forget(): void {
    core.windowForget(this.target.window);
    this.#open = false;
  }

  #handle(): number {
    if (this.#open) return this.target.window;
    throw new DmaWindowError("ERR_CLOSED", "the window is closed");
  }
}
