/**
 * What nobody knows of a container, because the kernel interface threw in a call, and again where the call was to be settled.
 * Until the kernel is asked once more, the tables keep what it may have: an IOVA that may be mapped is given to nobody else, and
 * memory that may be registered is not trusted to be.
 */
export class Doubts {
  /** IOVA -> bytes of maps that the kernel may not have. */
  readonly maps = new Map<bigint, bigint>();
  /** Beginnings of registrations that the kernel may not have. */
  readonly registrations = new Set<bigint>();

  /** Bytes within `length` from `iova` that may not be mapped. */
  mapsWithin(iova: bigint, length: bigint): bigint {
    return this.#within(iova, length).reduce((bytes, [, size]) => bytes + size, 0n);
  }

  /** The same, when they have been unmapped for sure: they are in doubt no more. */
  settleMaps(iova: bigint, length: bigint): bigint {
    const bytes = this.mapsWithin(iova, length);
    for (const [start] of this.#within(iova, length)) this.maps.delete(start);
    return bytes;
  }

  #within(iova: bigint, length: bigint): (readonly [bigint, bigint])[] {
    return [...this.maps].filter(([start, size]) => start >= iova && start + size <= iova + length);
  }
}
