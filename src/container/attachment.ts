/**
 * A memory that is mapped into a window, list by list: what comes to it is mapped where its list has its region (regions.ts), and what
 * goes is unmapped.
 *
 *     list    base ........................ base + length          virtual addresses
 *              |     memsegs    |  not yet  |
 *     window  region ....................................          IOVAs set aside, as long as the list
 *
 * What comes and goes together and lies in one piece for memory and device is one map, however many memsegs it has (there is one
 * for each run of physical memory, where addresses are asked for): type1 counts maps (`dma_entry_limit`), and unmaps whole ones.
 */
import { core, NO_ADDRESS, Owner } from "../core.ts";
import { type DmaWindowError, leftBy, withoutResidue, withResidue } from "../errors.ts";
import { bytes, hex } from "../hex.ts";
import type { Listed } from "../memory/recorded.ts";
import type { MemsegTable } from "../memory/table.ts";
import type { MemoryListener, Memseg, MemsegList } from "../memory/types.ts";
import type { MappedFacts } from "../plan/index.ts";
import { isServed } from "../plan/needs.ts";
import { requestColumns } from "./columns.ts";
import { aboutRequest } from "./failures.ts";
import { performMaps } from "./maps.ts";
import type { Placing } from "./offset.ts";
import { among, joined, nameOf, type Placed, STEP, STEP_BYTES, type Step, withoutAddress } from "./placed.ts";
import { Regions, release, setAside } from "./regions.ts";
import { endIdle, lasting, performUnmaps } from "./unmaps.ts";
import type { Window } from "./window.ts";

/** How many memsegs go to the kernel in one crossing. */
const BATCH = 4096;

const READ_WRITE = 3;

export class Attachment implements MemoryListener, Placing {
  readonly window: Window;
  readonly #memory: MemsegTable;
  readonly #regions: Regions;
  /** It is on its way out: what comes to the memory is not mapped any more. */
  #isLeaving = false;
  #isAttached = true;
  /** All that is in the memory is mapped. */
  isWhole = false;
  /** What a failed map left mapped, though its memory did not stay: in the way of what comes there next. */
  #left: readonly Placed[] = [];

  constructor(memory: MemsegTable, window: Window) {
    this.#memory = memory;
    this.window = window;
    this.#regions = new Regions(window);
  }

  /** Sets address space aside for every list and maps every memseg; nothing is left when it throws. */
  begin(): void {
    const mapped: Placed[][] = [];
    try {
      this.#regions.placeAll(this.#memory.lists);
      let first = 0;
      for (const batch of this.#batches()) {
        this.#map(batch, { first, count: this.#memory.size });
        mapped.push(batch);
        first += batch.length;
      }
    } catch (error) {
      const left: string[] = [];
      for (const batch of mapped.reverse())
        left.push(...leftBy(() => this.#unmap(batch), `${nameOf(batch)} are still mapped`));
      if (left.length === 0) this.#regions.drop();
      throw withResidue(error, left);
    }
    this.isWhole = true;
    this.#memory.listeners.add(this);
  }

  /**
   * The first step of {@link begin} by itself: from here on what comes to the memory is mapped, and what goes unmapped. What is there
   * {@link mapNext} maps. Nothing is left when it throws.
   */
  prepare(): void {
    try {
      this.#regions.placeAll(this.#memory.lists);
    } catch (error) {
      this.#regions.drop();
      throw error;
    }
    this.#memory.listeners.add(this);
  }

  /** Whether memory and window have to do with each other: not once one of them is closed, or the memory detached. */
  get isAttached(): boolean {
    return this.#isAttached;
  }

  /** Maps some of what lies from an address on and is not mapped yet. `first`: how many maps came before it. */
  mapNext(from: bigint, first: number): Step {
    const { placed, step } = this.#next(from);
    const absent = placed.filter((one) => core.windowReverse(this.window.target.window, one.iova) !== one.va);
    this.#map(absent, { first, count: this.#memory.size });
    return step;
  }

  /** Unmaps some of it. From the first time on nothing more is mapped. Gives what cannot be unmapped in `left`. */
  unmapNext(from: bigint, left: string[]): Step {
    this.#isLeaving = true;
    this.#unmapLeft();
    const { placed, step } = this.#next(from);
    left.push(...leftBy(() => this.#unmap(placed), `${nameOf(placed)} are still mapped`));
    return step;
  }

  /** After {@link unmapNext} to the end: as if it had never begun. */
  drop(isClean: boolean): void {
    if (isClean) this.#regions.drop();
    this.forget();
  }

  /** Memory from an address on, as much as is to be done in one go: whole pieces. */
  #next(from: bigint): { readonly placed: readonly Placed[]; readonly step: Step } {
    const placed: Placed[] = [];
    let length = 0n;
    let next = from;
    for (const together of this.#pieces(from)) {
      if (length >= STEP_BYTES || placed.length >= STEP)
        return { placed, step: { count: placed.length, length, next } };
      const last = together.at(-1) as Listed;
      placed.push(...this.#place(together[0].list, together));
      for (const memseg of together) length += memseg.length;
      next = last.va + last.length;
    }
    return { placed, step: { count: placed.length, length, next: undefined } };
  }

  /**
   * Unmaps every memseg and forgets the regions. Gives an error where all is unmapped, and only registrations could not be
   * ended, or the kernel had less there than was asked for. Throws, with everything mapped again, when something cannot be
   * unmapped.
   */
  end(): DmaWindowError | undefined {
    this.#unmapLeft();
    const leftover = this.unmapAll();
    this.letGo();
    return endIdle(this.window.target) ?? leftover;
  }

  /**
   * Unmaps every memseg; the regions stay set aside. Throws, with everything mapped again, when something cannot be
   * unmapped. What only stays registered is not told: `endIdle` tries again, and names it. Gives what else there is to say.
   */
  unmapAll(): DmaWindowError | undefined {
    const unmapped: Placed[][] = [];
    let leftover: DmaWindowError | undefined;
    try {
      for (const batch of this.#batches()) {
        leftover = lasting(this.#unmap(batch)) ?? leftover;
        unmapped.push(batch);
      }
    } catch (error) {
      const left: string[] = [];
      for (const batch of unmapped.reverse())
        left.push(...leftBy(() => this.#map(batch), `${nameOf(batch)} are not mapped again`));
      throw withResidue(error, left);
    }
    return leftover;
  }

  /** After {@link unmapAll}: maps every memseg where it was. Gives a sentence for each batch that cannot be. */
  mapAll(): string[] {
    return [...this.#batches()].flatMap((batch) =>
      leftBy(() => this.#map(batch), `${nameOf(batch)} are not mapped again`),
    );
  }

  /** After {@link unmapAll}: the memory and the window have nothing to do with each other any more. */
  letGo(): void {
    this.#regions.remember();
    this.#regions.drop();
    this.forget();
  }

  /** The window has gone with its container. */
  forget(): void {
    this.#isAttached = false;
    this.#memory.listeners.remove(this);
  }

  listAdded(list: MemsegList): void {
    this.#regions.place(list);
  }

  listRemoved(list: MemsegList): void {
    this.#regions.remove(list);
  }

  has(list: MemsegList): boolean {
    return this.#memory.lists.includes(list);
  }

  /** Its memory lies in its region from the first map to the last unmap, as `#place` has it. */
  offsetOf(list: MemsegList): bigint | undefined {
    const region = this.#regions.of(list);
    return region === undefined ? undefined : core.rebase(0n, list.base, region);
  }

  /** All of it that is served. @internal */
  mapped(): MappedFacts {
    let [bytes, pages, maps] = [0n, 0n, 0];
    for (const batch of this.#batches()) {
      maps += batch.length;
      for (const { length, list } of batch) {
        bytes += length;
        pages += length / list.pageSize;
      }
    }
    return { container: this.window.target.container, bytes, pages, maps };
  }

  added(list: MemsegList, memsegs: readonly Memseg[]): void {
    if (this.#isLeaving) return;
    this.#unmapLeft();
    const placed = this.#place(list, memsegs);
    try {
      this.#map(placed);
    } catch (error) {
      const isKnown = (va: bigint) => this.#left.some((one) => va >= one.va && va < one.va + one.length);
      this.#left = [...this.#left, ...placed.filter((one) => this.#isLive(one) && !isKnown(one.va))];
      throw error;
    }
  }

  /** Tries again to unmap what is left of memory that did not stay. What still cannot be was named when it was left. */
  #unmapLeft(): void {
    for (const one of this.#left) leftBy(() => this.#unmapWhole(one));
    if (this.#left.length > 0) this.#left = this.#left.filter((one) => this.#isLive(one));
  }

  /** On behalf of the window: in `pa` its IOVAs are not set aside any more. */
  #unmapWhole(one: Placed): unknown {
    this.#write([one]);
    return performUnmaps(this.window.target, 1, Owner.WINDOW);
  }

  #isLive({ iova }: Placed): boolean {
    return core.windowReverse(this.window.target.window, iova) !== NO_ADDRESS;
  }

  removing(list: MemsegList, memsegs: readonly Memseg[]): DmaWindowError | undefined {
    return this.#unmap(this.#place(list, memsegs));
  }

  *#batches(): Generator<Placed[], void, void> {
    let batch: Placed[] = [];
    for (const together of this.#pieces()) {
      batch.push(...this.#place(together[0].list, together));
      if (batch.length < BATCH) continue;
      yield batch;
      batch = [];
    }
    if (batch.length > 0) yield batch;
  }

  /** Memsegs that came together, and will go so: those of a segment; each of the others alone. */
  *#pieces(from = 0n): Generator<[Listed, ...Listed[]], void, void> {
    let piece: [Listed, ...Listed[]] | undefined;
    let owner: unknown;
    for (const memseg of this.#memory.recorded.within(from, NO_ADDRESS)) {
      const segment = this.#memory.segmentAt(memseg.va);
      if (piece !== undefined && segment !== undefined && segment === owner) {
        piece.push(memseg);
        continue;
      }
      if (piece !== undefined) yield piece;
      piece = [memseg];
      owner = segment;
    }
    if (piece !== undefined) yield piece;
  }

  /** Where memsegs are mapped; an owner's external memory is left out. @throws `ERR_PHYSICAL_UNKNOWN` in `pa`. */
  #place(list: MemsegList, memsegs: readonly Memseg[]): Placed[] {
    if (!isServed(list)) return [];
    const region = this.#regions.of(list);
    if (region !== undefined) {
      return joined(memsegs).map(({ va, length }) => ({ list, va, length, iova: core.rebase(va, list.base, region) }));
    }
    return memsegs.map(({ va, iova, length }) => ({ list, va, length, iova: iova ?? NO_ADDRESS })); // which #map refuses
  }

  #map(placed: readonly Placed[], of = { first: 0, count: placed.length }): void {
    if (placed.length === 0) return;
    const unknown = placed.findIndex(({ iova }) => iova === NO_ADDRESS);
    if (unknown >= 0) this.#refuseUnknown(placed, unknown, of);
    const aside: Placed[] = [];
    try {
      if (this.window.iovaMode === "pa") {
        for (const one of placed) {
          setAside(this.window, one.iova, one.length, `the memory at ${hex(one.va)}`);
          aside.push(one);
        }
      }
      this.#write(placed);
      performMaps(this.window.target, placed.length, Owner.MEMORY, among(placed, of));
    } catch (error) {
      for (const { iova, length } of aside) release(this.window, iova, length);
      throw error;
    }
  }

  /** Were it passed over, no device could reach memory that is meant for it, and nobody would say so. */
  #refuseUnknown(placed: readonly Placed[], request: number, of: { first: number; count: number }): never {
    this.#write(placed);
    const { va, length } = placed[request] as Placed;
    throw aboutRequest(
      withoutAddress(va, length, this.window.target.kind, this.#memory.asksPhysical),
      request,
      among(placed, of),
    );
  }

  /** Unmaps all of them. Throws, with all of them mapped as they were (or the residue named), when one cannot be. */
  #unmap(placed: readonly Placed[]): DmaWindowError | undefined {
    if (placed.length === 0) return undefined;
    // What an earlier failure could not map again is gone already.
    const live = placed.filter((one) => this.#isLive(one));
    let leftover: DmaWindowError | undefined;
    try {
      this.#write(live);
      leftover = performUnmaps(this.window.target, live.length, Owner.MEMORY, among(live));
    } catch (error) {
      // What is still mapped is as it was. Left behind is what may not be, what could not be mapped again, or be given up for that.
      const left = [...this.#inDoubt(live), ...this.#mapAgain(live)];
      throw withResidue(withoutResidue(error), [...left, ...(endIdle(this.window.target)?.residue?.left ?? [])]);
    }
    if (this.window.iovaMode === "pa") for (const { iova, length } of placed) release(this.window, iova, length);
    return leftover;
  }

  /** A sentence for each of `placed` of which nobody knows whether it is mapped still: the tables keep it. */
  #inDoubt(placed: readonly Placed[]): string[] {
    const { doubts } = this.window.target;
    return placed
      .filter(({ iova, length }) => doubts.mapsWithin(iova, length) > 0n)
      .map(({ iova, length }) => `${bytes(length)} at IOVA ${hex(iova)} may still be mapped, or may not`);
  }

  /** Maps those of `placed` that are not mapped any more; gives a sentence for each that cannot be. */
  #mapAgain(placed: readonly Placed[]): string[] {
    const gone = placed.filter((one) => !this.#isLive(one));
    return gone.flatMap((one) =>
      leftBy(
        () => {
          this.#write([one]);
          performMaps(this.window.target, 1, Owner.MEMORY);
        },
        `${bytes(one.length)} at IOVA ${hex(one.iova)} is not mapped again`,
      ),
    );
  }

  #write(placed: readonly Placed[]): void {
    const { vas, iovas, lengths, permissions } = requestColumns(placed.length);
    placed.forEach(({ va, iova, length }, i) => {
      vas[i] = va;
      iovas[i] = iova;
      lengths[i] = length;
      permissions[i] = READ_WRITE;
    });
  }
}
