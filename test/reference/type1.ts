/**
 * type1 the slow way, in numbers without an end: a plain array of maps, and every question a walk over all of it. The twin
 * of `src/model/type1`, for v1 and v2.
 */
import { constants } from "node:os";

const { EINVAL, EEXIST, ENOSPC, ENOMEM, EFAULT } = constants.errno;
const END = 1n << 64n;

/** What may be done with memory: bits of READ 1 and WRITE 2. */
export type AccessAt = (va: bigint) => number;

export interface Type1TwinOptions {
  readonly version: 1 | 2;
  readonly pageSize: bigint;
  readonly ranges: readonly { readonly start: bigint; readonly last: bigint }[];
  readonly entryLimit: number;
  /** RLIMIT_MEMLOCK in bytes; `null`: none. */
  readonly lockLimit: bigint | null;
  /** What the process may do with the page of the CPU at an address; 0 where there is none. */
  readonly accessAt: AccessAt;
}

export interface TwinMap {
  readonly iova: bigint;
  readonly va: bigint;
  readonly size: bigint;
  readonly flags: number;
}

export class Type1Twin {
  maps: TwinMap[] = [];
  readonly #options: Type1TwinOptions;

  constructor(options: Type1TwinOptions) {
    this.#options = options;
  }

  get locked(): bigint {
    return this.maps.reduce((sum, { size }) => sum + size, 0n);
  }

  /** 0 or a negative errno. `flags`: READ 1, WRITE 2. */
  map(va: bigint, iova: bigint, size: bigint, flags: number): number {
    const { pageSize, ranges, entryLimit, lockLimit, accessAt } = this.#options;
    if (flags === 0 || flags > 3 || size === 0n) return -EINVAL;
    for (const number of [va, iova, size]) if (number % pageSize !== 0n) return -EINVAL;
    if (iova + size > END || va + size > END) return -EINVAL;
    if (iova + size < END && this.maps.some((each) => meet(each, iova, size))) return -EEXIST;
    if (this.maps.length >= entryLimit) return -ENOSPC;
    if (!ranges.some(({ start, last }) => iova >= start && iova + size - 1n <= last)) return -EINVAL;
    for (let at = 0n; at < size; at += pageSize) {
      // To be written it has to be writable; only to be read, readable.
      const needed = (flags & 2) !== 0 ? 2 : 1;
      if ((accessAt(va + at) & needed) === 0) return -EFAULT;
      if (lockLimit !== null && this.locked + at + pageSize > lockLimit) return -ENOMEM;
    }
    this.maps.push({ iova, va, size, flags });
    return 0;
  }

  /** The answer, and the size that is written back; `undefined` where none is. */
  unmap(iova: bigint, size: bigint, all = false): { readonly answer: number; readonly size: bigint | undefined } {
    const refused = { answer: -EINVAL, size: undefined };
    const { pageSize, version } = this.#options;
    if (iova % pageSize !== 0n) return refused;
    if (all) {
      if (iova !== 0n || size !== 0n) return refused;
      return this.#drop(() => true);
    }
    if (size === 0n || size % pageSize !== 0n || iova + size > END) return refused;
    const isCutAt = (edge: bigint) => this.maps.some((each) => each.iova < edge && edge < each.iova + each.size);
    if (version === 2 && (isCutAt(iova) || isCutAt(iova + size))) return refused;
    // The sum is 0 in 64 bits: nothing lies below it.
    if (iova + size === END) return { answer: 0, size: 0n };
    if (isCutAt(iova)) return { answer: 0, size: 0n };
    return this.#drop((each) => each.iova >= iova && each.iova < iova + size);
  }

  /** The address that a device reaches, and how it may use it. */
  reach(iova: bigint): { readonly va: bigint; readonly flags: number } | undefined {
    const map = this.maps.find((each) => meet(each, iova, 1n));
    return map && { va: map.va + iova - map.iova, flags: map.flags };
  }

  #drop(isGone: (map: TwinMap) => boolean): { answer: number; size: bigint } {
    const gone = this.maps.filter(isGone);
    this.maps = this.maps.filter((each) => !gone.includes(each));
    return { answer: 0, size: gone.reduce((sum, { size }) => sum + size, 0n) };
  }
}

function meet(map: TwinMap, iova: bigint, size: bigint): boolean {
  return map.iova < iova + size && iova < map.iova + map.size;
}
