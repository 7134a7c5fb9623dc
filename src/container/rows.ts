/**
 * Rows of requests in the core's own memory: a program writes them where the core reads them.
 *
 *     row              0       1      ...   capacity - 1
 *     vas          [ u64   | u64  | ... ]
 *     iovas        [ u64   | u64  | ... ]
 *     lengths      [ u64   | u64  | ... ]
 *     indexes      [ u64   | u64  | ... ]
 *     permissions  [ u32   | u32  | ... ]      one column lies behind the other, in one block
 *
 * The block is this object's alone: no call of the library writes to it but where an array of it is an argument. It never
 * goes back to the core's tables either. A view that somebody kept past the end would otherwise lead into them; like this it
 * leads at most to rows of requests that come later, and those are checked, as every request is.
 */

import { Closable } from "../closable.ts";
import { markClass } from "../copies.ts";
import { core, NO_ADDRESS } from "../core.ts";
import { argumentRangeError, DmaWindowError } from "../errors.ts";
import { inspectable, whereClosed } from "../inspect.ts";
import { count } from "../validate.ts";

/** As many as the core takes in a batch; see assembly/columns.ts. */
const ROWS_MAX = 1 << 24;
/** Of all columns: four of 8 bytes, one of 4. */
const ROW_BYTES = 36;
const READ_WRITE = 3;

/** Blocks that rows had before, by their size: powers of two. */
const spare = new Map<number, number[]>();

function acquire(bytes: number): number {
  const block = spare.get(bytes)?.pop() ?? core.acquireBytes(bytes);
  if (block === 0) throw new DmaWindowError("ERR_OUT_OF_MEMORY", `no room for ${bytes} bytes in the core's memory`);
  return block;
}

interface Views {
  readonly vas: BigUint64Array;
  readonly iovas: BigUint64Array;
  readonly lengths: BigUint64Array;
  readonly indexes: BigUint64Array;
  readonly permissions: Uint32Array;
}

/**
 * Arrays for a window's batches in the memory that the core reads them from: made by `window.requests(capacity)`.
 *
 * **Take an array from here each time it is used, or after each call at least.** When the core's memory grows, which any call
 * that maps or allocates may let it, arrays taken before are empty: what is written to them is lost without a word, and a batch
 * refuses them. The rows themselves stay, and the next array taken has them.
 */
export class RequestRows extends Closable {
  /** How many rows there are. */
  readonly capacity: number;
  readonly #bytes: number;
  readonly #block: number;
  readonly #siblings: Set<RequestRows>;
  #views: Views;
  #open = true;

  /** @internal `siblings` are all rows of a window: these add themselves, and leave when they end. */
  constructor(capacity: number, siblings: Set<RequestRows>) {
    super();
    if (count("capacity", capacity) < 1 || capacity > ROWS_MAX) {
      throw argumentRangeError("capacity", `from 1 to ${ROWS_MAX}`, capacity);
    }
    this.capacity = capacity;
    this.#bytes = 1 << core.log2Ceil(BigInt(capacity * ROW_BYTES)); // 2^30 at most
    this.#block = acquire(this.#bytes);
    this.#views = this.#take();
    this.vas.fill(NO_ADDRESS);
    this.iovas.fill(NO_ADDRESS);
    this.lengths.fill(0n);
    this.indexes.fill(NO_ADDRESS);
    this.permissions.fill(READ_WRITE);
    this.#siblings = siblings;
    siblings.add(this);
  }

  /** Where the memory is. At first all ones, which no map takes; to unmap it means: whatever is there. */
  get vas(): BigUint64Array {
    return this.#fresh().vas;
  }

  /** Where the device finds it. At first all ones: left to the window. */
  get iovas(): BigUint64Array {
    return this.#fresh().iovas;
  }

  /** Bytes. At first 0, which is refused. */
  get lengths(): BigUint64Array {
    return this.#fresh().lengths;
  }

  /** For the answers of `checkInto`. */
  get indexes(): BigUint64Array {
    return this.#fresh().indexes;
  }

  /** What the device may do: 1 read, 2 write, 3 both. At first 3. */
  get permissions(): Uint32Array {
    return this.#fresh().permissions;
  }

  get closed(): boolean {
    return !this.#open;
  }

  /** Ends these rows; their window does so too when it closes. Once more does nothing. No array of them may be used again. */
  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#siblings.delete(this);
    spare.set(this.#bytes, [...(spare.get(this.#bytes) ?? []), this.#block]);
  }

  #fresh(): Views {
    if (!this.#open) throw new DmaWindowError("ERR_CLOSED", "these rows of requests are closed");
    if (this.#views.vas.length === 0) this.#views = this.#take();
    return this.#views;
  }

  #take(): Views {
    const column = this.capacity * 8;
    return {
      vas: core.u64(this.#block, this.capacity),
      iovas: core.u64(this.#block + column, this.capacity),
      lengths: core.u64(this.#block + 2 * column, this.capacity),
      indexes: core.u64(this.#block + 3 * column, this.capacity),
      permissions: core.u32(this.#block + 4 * column, this.capacity),
    };
  }
}

markClass(RequestRows, "RequestRows");
inspectable(RequestRows, "RequestRows", (rows) => ({ state: whereClosed(rows), capacity: rows.capacity }));
