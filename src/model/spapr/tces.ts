import type { Registration } from "./registrations.ts";

/** What a live TCE says. */
export interface Tce {
  /** The page of 4 KiB where the memory starts. */
  readonly page: number;
  /** Bits of {@link Access}. */
  readonly access: number;
  /** What it points into. */
  readonly memory: Registration;
}

/** What the device may do. */
export const Access = { READ: 1, WRITE: 2 };

const CHUNK_SHIFT = 6;
const CHUNK = 1 << CHUNK_SHIFT;

/** 64 neighbouring TCEs, column by column. `access` 0: not live. */
interface Chunk {
  readonly pages: Float64Array;
  readonly access: Uint8Array;
  readonly memory: (Registration | undefined)[];
  live: number;
}

/**
 * The TCEs of one window by their index. Only chunks with a live TCE exist, so an empty window of any size costs
 * nothing, and clearing one costs what is live in it.
 *
 * An index may lie behind the window's end: PowerNV lets MAP write there, and UNMAP clears it again.
 */
export class TceTable {
  readonly #chunks = new Map<number, Chunk>();
  /** The chunk used last: neighbouring requests find theirs without the map. */
  #recent: Chunk | undefined;
  #recentKey = -1;
  /** One emptied chunk is kept for the next need: a map and an unmap in turn make no garbage. */
  #spare: Chunk | undefined;
  live = 0;

  get(index: number): Tce | undefined {
    const chunk = this.#chunkAt(Math.floor(index / CHUNK));
    const slot = index % CHUNK;
    const access = chunk?.access[slot] ?? 0;
    if (chunk === undefined || access === 0) return undefined;
    return { page: chunk.pages[slot] as number, access, memory: chunk.memory[slot] as Registration };
  }

  /** Whether the TCE is live and says something else. */
  leadsElsewhere(index: number, page: number, access: number): boolean {
    const now = this.get(index);
    return now !== undefined && (now.page !== page || now.access !== access);
  }

  /** The live ones with their numbers, in order. */
  *all(): IterableIterator<Tce & { readonly index: number }> {
    for (const key of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      for (let slot = 0; slot < CHUNK; slot++) {
        const tce = this.get(key * CHUNK + slot);
        if (tce !== undefined) yield { ...tce, index: key * CHUNK + slot };
      }
    }
  }

  /** Replaces what was there without a word, as the kernel does. */
  set(index: number, page: number, access: number, memory: Registration): void {
    const key = Math.floor(index / CHUNK);
    const chunk = this.#chunkAt(key) ?? this.#add(key);
    const slot = index % CHUNK;
    if (chunk.access[slot] === 0) {
      chunk.live++;
      this.live++;
    } else {
      (chunk.memory[slot] as Registration).mapped--;
    }
    chunk.pages[slot] = page;
    chunk.access[slot] = access;
    chunk.memory[slot] = memory;
    memory.mapped++;
  }

  /** Clears `count` TCEs from `first` on, in order. `cleared` hears of every one that was live. */
  clear(first: number, count: number, cleared?: (index: number) => void): void {
    if (this.live === 0 || count === 0) return;
    const firstKey = Math.floor(first / CHUNK);
    const lastKey = Math.floor((first + count - 1) / CHUNK);
    if (lastKey - firstKey < this.#chunks.size) {
      for (let key = firstKey; key <= lastKey; key++) this.#clearIn(key, first, first + count, cleared);
      return;
    }
    // More chunks asked about than there are: walk those that exist.
    const keys = [...this.#chunks.keys()].filter((key) => key >= firstKey && key <= lastKey);
    if (cleared !== undefined) keys.sort((a, b) => a - b);
    for (const key of keys) this.#clearIn(key, first, first + count, cleared);
  }

  #clearIn(key: number, first: number, end: number, cleared: ((index: number) => void) | undefined): void {
    const chunk = this.#chunkAt(key);
    if (chunk === undefined) return;
    const base = key * CHUNK;
    const from = Math.max(first - base, 0);
    const to = Math.min(end - base, CHUNK);
    for (let slot = from; slot < to && chunk.live > 0; slot++) {
      if (chunk.access[slot] === 0) continue;
      chunk.access[slot] = 0;
      (chunk.memory[slot] as Registration).mapped--;
      chunk.memory[slot] = undefined;
      chunk.live--;
      this.live--;
      cleared?.(base + slot);
    }
    if (chunk.live > 0) return;
    this.#chunks.delete(key);
    this.#recent = undefined;
    this.#recentKey = -1;
    this.#spare = chunk;
  }

  #chunkAt(key: number): Chunk | undefined {
    if (key === this.#recentKey) return this.#recent;
    const chunk = this.#chunks.get(key);
    if (chunk === undefined) return undefined;
    this.#recent = chunk;
    this.#recentKey = key;
    return chunk;
  }

  #add(key: number): Chunk {
    const chunk = this.#spare ?? {
      pages: new Float64Array(CHUNK),
      access: new Uint8Array(CHUNK),
      memory: new Array<Registration | undefined>(CHUNK).fill(undefined),
      live: 0,
    };
    this.#spare = undefined;
    this.#chunks.set(key, chunk);
    this.#recent = chunk;
    this.#recentKey = key;
    return chunk;
  }
}
