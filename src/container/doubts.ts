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

  /** Bytes within `length` from `iova` that may not be mapped; it is asked for when they have been unmapped for sure. */
  settleMaps(iova: bigint, length: bigint): bigint {
    let bytes = 0n;
    for (const [start, size] of this.maps) {
      if (start < iova || start + size > iova + length) continue;
      bytes += size;
      this.maps.delete(start);
    }
    return bytes;
  }
}
