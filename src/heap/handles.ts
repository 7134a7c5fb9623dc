/**
 * Handles of what is debugged: each is given out once, ever. They are a pool's, whose indexes are not taken back once all of their
 * generations were given out, so a stale handle is never anybody's. The bound is how many there are: 2^18 indexes, or twice what can
 * be live at a time, with 512 generations each.
 */
import { AllocStatus, GENERATIONS, HANDLE_INDEX_MASK } from "../alloc.ts";
import { DmaWindowError } from "../errors.ts";
import { wasm } from "./wasm.ts";

const LEAST = 2 ** 18;
const MOST = 2 ** 21;

export class Handles {
  readonly #pool: number;
  readonly #first: number;
  readonly #issued: Uint16Array;
  readonly #isLive: Uint8Array;
  #live = 0;

  /** For up to `live` at a time. @throws `ERR_OUT_OF_MEMORY`. */
  constructor(live: number) {
    const count = Math.min(MOST, Math.max(LEAST, 2 ** Math.ceil(Math.log2(2 * live))));
    this.#pool = wasm.poolOpen(count, 1);
    if (this.#pool <= 0) {
      const said =
        "no room for handles to debug with in the allocator's memory: close other heaps with guard, quarantine or callSites";
      throw new DmaWindowError("ERR_OUT_OF_MEMORY", said);
    }
    this.#first = wasm.poolFirst(this.#pool);
    this.#issued = new Uint16Array(count);
    this.#isLive = new Uint8Array(count);
  }

  /** How many there are. */
  get room(): number {
    return this.#issued.length;
  }

  get liveCount(): number {
    return this.#live;
  }

  /** A new one; -1 when all were given out. */
  take(): number {
    const handle = wasm.poolGet(this.#pool);
    if (handle <= 0) return -1;
    const index = this.indexOf(handle);
    this.#issued[index] = (this.#issued[index] as number) + 1;
    this.#isLive[index] = 1;
    this.#live++;
    return handle;
  }

  /** From 0 on; of what is no handle of these too. */
  indexOf(handle: number): number {
    return (handle & HANDLE_INDEX_MASK) - this.#first;
  }

  /** As the allocator says it. */
  statusOf(handle: number): number {
    const status = wasm.poolCheckHandle(this.#pool, handle);
    return status === AllocStatus.OK && this.#isLive[this.indexOf(handle)] === 0 ? AllocStatus.NOT_LIVE : status;
  }

  /** One that is live is not any more. */
  end(handle: number): void {
    const index = this.indexOf(handle);
    this.#isLive[index] = 0;
    this.#live--;
    if ((this.#issued[index] as number) < GENERATIONS) wasm.poolPut(this.#pool, handle);
  }

  /** The next live one; 0 begins, and ends. */
  next(handle: number): number {
    let at = wasm.poolNextLive(this.#pool, handle);
    while (at !== 0 && this.#isLive[this.indexOf(at)] === 0) at = wasm.poolNextLive(this.#pool, at);
    return at;
  }

  close(): void {
    wasm.poolClose(this.#pool);
  }
}
