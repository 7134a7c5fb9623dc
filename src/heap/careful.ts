/**
 * What a heap does besides when it is debugged: `guard`, `quarantine`, `callSites`. All of it is off the plain heap's way.
 *
 *     | block, as many bytes as were asked for | pattern, 64 bytes or more | block ... | pattern | free: pattern |
 *
 * So before each block there is a pattern too, but where a segment begins. The handles are {@link Handles}, and the columns this
 * object's own.
 */
import { AllocStatus, HANDLE_INDEX_MASK } from "../alloc.ts";
import { callSite } from "../call-site.ts";
import { alignShift, GRANULE, rounded } from "./block.ts";
import type { Blocks } from "./blocks.ts";
import { damaged, type HeapDamage } from "./damage.ts";
import { Handles } from "./handles.ts";
import type { Aids } from "./options.ts";
import { fill, intact, PATTERN } from "./pattern.ts";
import { refusedHandle } from "./refusals.ts";
import { wasm } from "./wasm.ts";

/** A block of the allocator that was freed, and whose time has not come. */
interface Waiting {
  readonly block: number;
  readonly until: number;
}

/** Where a block of the allocator is. */
interface Extent {
  readonly iova: bigint;
  readonly va: bigint;
  readonly size: number;
}

export class Careful {
  readonly iovas: BigUint64Array;
  readonly vas: BigUint64Array;
  /** In granules, at twice the slot, as the allocator's. */
  readonly sizes: Uint32Array;
  readonly #blocks: Blocks;
  readonly #aids: Aids;
  readonly #handles: Handles;
  /** The allocator's handle, by slot. */
  readonly #blockOf: Int32Array;
  /** What was asked for, by slot: up to 2^32 - 64. */
  readonly #bytes: Uint32Array;
  readonly #sites = new Map<number, string>();
  /** By when their time comes. */
  readonly #waiting: Waiting[] = [];

  /** @throws `ERR_OUT_OF_MEMORY`. */
  constructor(blocks: Blocks, aids: Aids) {
    this.#blocks = blocks;
    this.#aids = aids;
    this.#handles = new Handles(1);
    const { room } = this.#handles;
    this.iovas = new BigUint64Array(room);
    this.vas = new BigUint64Array(room);
    this.sizes = new Uint32Array(2 * room);
    this.#blockOf = new Int32Array(room);
    this.#bytes = new Uint32Array(room);
    blocks.reclaim = () => this.#endQuarantine();
    if (!aids.guard) return;
    blocks.guard = GRANULE;
    blocks.prepare = (va, length) => fillAll(blocks, va, length);
  }

  get liveCount(): number {
    return this.#handles.liveCount;
  }

  /** How many slots there are. */
  get room(): number {
    return this.#handles.room;
  }

  slotOf(handle: number): number {
    return this.#handles.indexOf(handle);
  }

  statusOf(handle: number): number {
    return this.#handles.statusOf(handle);
  }

  /** A handle, or -1. `align` and `boundary` are shifts. @throws `ERR_GUARD` where memory that was free was written to. */
  take(bytes: number, align: number, boundary: number): number {
    this.#endQuarantine();
    const { guard, zero, callSites } = this.#aids;
    const block = guard ? this.#takeGuarded(bytes, align, boundary) : this.#blocks.take(bytes, align, boundary);
    if (block <= 0) return -1;
    const extent = extentOf(block);
    try {
      if (guard) this.#checkFree(extent);
      if (zero) fill(this.#blocks.segments.shown, extent.va, guard ? bytes : extent.size, 0);
    } catch (error) {
      this.#blocks.give(block);
      throw error;
    }
    const handle = this.#handles.take();
    if (handle <= 0) {
      if (guard) fill(this.#blocks.segments.shown, extent.va, extent.size, PATTERN);
      this.#blocks.give(block);
      return -1;
    }
    const slot = this.slotOf(handle);
    this.#blockOf[slot] = block;
    this.#bytes[slot] = bytes;
    this.iovas[slot] = extent.iova;
    this.vas[slot] = extent.va;
    this.sizes[slot * 2] = (guard ? rounded(bytes) : extent.size) / GRANULE;
    const site = callSites ? callSite() : undefined;
    if (site !== undefined) this.#sites.set(slot, site);
    return handle;
  }

  /** A block within a boundary is one at a multiple of the power of two above it: its guard may lie behind the boundary. */
  #takeGuarded(bytes: number, align: number, boundary: number): number {
    const outer = rounded(bytes) + GRANULE;
    if (outer > 2 ** 32 - GRANULE) return -1;
    const power = boundary === 0 ? align : Math.max(align, alignShift(2 ** Math.ceil(Math.log2(bytes))));
    return this.#blocks.take(outer, power, 0);
  }

  /** @throws what a handle is refused with; `ERR_GUARD`: it is freed all the same. */
  free(handle: number): void {
    const status = this.statusOf(handle);
    if (status !== AllocStatus.OK) throw refusedHandle(handle, status, { title: this.#blocks.title, part: "block" });
    const slot = this.slotOf(handle);
    const block = this.#blockOf[slot] as number;
    const extent = extentOf(block);
    const damage = this.#aids.guard ? this.#damageOf(handle) : undefined;
    if (this.#aids.guard) {
      fill(this.#blocks.segments.shown, extent.va, extent.size, PATTERN);
      if (damage?.where === "before") fill(this.#blocks.segments.shown, extent.va - 64n, GRANULE, PATTERN);
    }
    this.#handles.end(handle);
    this.#sites.delete(slot);
    if (this.#aids.quarantine === 0) {
      this.#blocks.give(block);
    } else {
      this.#waiting.push({ block, until: performance.now() + this.#aids.quarantine });
      this.#blocks.quarantined += BigInt(extent.size);
    }
    if (damage) throw damaged(this.#blocks.title, damage);
  }

  /** What is live: as many bytes as were asked for where they are guarded, else all of its granules. */
  sizeOf(handle: number): number {
    return this.#aids.guard ? (this.#bytes[this.slotOf(handle)] as number) : this.#extentOf(handle).size;
  }

  iovaOf(handle: number): bigint {
    return this.#extentOf(handle).iova;
  }

  vaOf(handle: number): bigint {
    return this.#extentOf(handle).va;
  }

  #extentOf(handle: number): Extent {
    return extentOf(this.#blockOf[this.slotOf(handle)] as number);
  }

  siteOf(handle: number): string | undefined {
    return this.#sites.get(this.slotOf(handle));
  }

  /** The next live handle; 0 begins, and ends. */
  next(handle: number): number {
    return this.#handles.next(handle);
  }

  /** All that was written to by somebody who does not have it. Nothing without `guard`. */
  check(): HeapDamage[] {
    const found: HeapDamage[] = [];
    if (!this.#aids.guard) return found;
    for (let handle = this.next(0); handle !== 0; handle = this.next(handle)) {
      const damage = this.#damageOf(handle);
      if (damage) found.push(damage);
    }
    for (const { block } of this.#waiting) this.#lookAt(extentOf(block), found);
    for (const extent of this.#blocks.segments.free()) this.#lookAt(extent, found);
    return found;
  }

  close(): void {
    this.#handles.close();
    this.#waiting.length = 0;
    this.#sites.clear();
  }

  /** Gives the allocator what has waited long enough. */
  #endQuarantine(): boolean {
    const now = performance.now();
    let ended = 0;
    while (ended < this.#waiting.length && (this.#waiting[ended] as Waiting).until <= now) {
      const { block } = this.#waiting[ended++] as Waiting;
      this.#blocks.quarantined -= BigInt(extentOf(block).size);
      this.#blocks.give(block);
    }
    if (ended > 0) this.#waiting.splice(0, ended);
    return ended > 0;
  }

  #damageOf(handle: number): HeapDamage | undefined {
    const slot = this.slotOf(handle);
    const { iova, va, size } = extentOf(this.#blockOf[slot] as number);
    const bytes = this.#bytes[slot] as number;
    const { segments } = this.#blocks;
    const site = this.#sites.get(slot);
    const about = { handle, bytes, ...(site === undefined ? {} : { callSite: site }) };
    const behind = intact(segments.shown, va + BigInt(bytes), size - bytes);
    if (bytes + behind < size) {
      const offset = BigInt(bytes + behind);
      return { where: "behind", va: va + offset, iova: iova + offset, ...about };
    }
    if (segments.begins(va)) return undefined;
    const before = intact(segments.shown, va - 64n, GRANULE);
    if (before === GRANULE) return undefined;
    const offset = BigInt(before) - 64n;
    return { where: "before", va: va + offset, iova: iova + offset, ...about };
  }

  #checkFree(extent: Extent): void {
    const found: HeapDamage[] = [];
    this.#lookAt(extent, found);
    if (found[0] === undefined) return;
    fill(this.#blocks.segments.shown, extent.va, extent.size, PATTERN);
    throw damaged(this.#blocks.title, found[0]);
  }

  #lookAt({ iova, va, size }: Extent, found: HeapDamage[]): void {
    const good = intact(this.#blocks.segments.shown, va, size);
    if (good === size) return;
    found.push({ where: "freed", va: va + BigInt(good), iova: iova + BigInt(good) });
  }
}

function extentOf(block: number): Extent {
  const at = (block & HANDLE_INDEX_MASK) * 4;
  return {
    iova: wasm.iovas[at] as bigint,
    va: wasm.vas[at] as bigint,
    size: (wasm.sizes[at * 2] as number) * GRANULE,
  };
}

/** At most 1 GiB at a time: segments can be longer than an array. */
function fillAll({ segments }: Blocks, va: bigint, length: bigint): void {
  const part = 1n << 30n;
  for (let done = 0n; done < length; done += part) {
    const rest = length - done;
    fill(segments.shown, va + done, Number(rest < part ? rest : part), PATTERN);
  }
}
