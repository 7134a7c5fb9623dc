/**
 * What stands in a block of a guest's disk: the host makes the disk, the guest reads, compares and writes, and the host looks at all of
 * it in the end. Nothing but the number of a block, who wrote it and a seed says what it holds, so no copy has to be kept.
 */

/** Bytes of a block, and blocks of the disk: 16 MiB. */
export const BLOCK_BYTES = 512;
export const DISK_BLOCKS = 32768;

/** What a disk holds at first: what the guest writes has a number of its own, from 1 on. */
export const BY_HOST = 0;

/** Blocks that the guest has written, and with what. */
export interface Written {
  readonly first: number;
  readonly blocks: number;
  /** Which writing it was: from 1 on, for other bytes each time. */
  readonly by: number;
}

/** Which bytes a disk has: printed, and given to the guest. */
export interface DiskFacts {
  readonly seed: number;
  readonly blocks: number;
}

/** Fills whole blocks from block `first` on. No word of 4 bytes is where another one would be. */
export function fillBlocks(bytes: Uint8Array, first: number, by: number, seed: number): void {
  const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const salt = mixed(seed ^ mixed(by + 1));
  for (let at = 0; at < bytes.length; at += 4) words.setUint32(at, wordAt(first * BLOCK_BYTES + at, salt), true);
}

/** How many bytes are not what they should be. */
export function wrongBytesIn(bytes: Uint8Array, first: number, by: number, seed: number): number {
  const expected = new Uint8Array(bytes.length);
  fillBlocks(expected, first, by, seed);
  let wrong = 0;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== expected[at]) wrong++;
  return wrong;
}

function wordAt(offset: number, salt: number): number {
  return mixed((offset >>> 2) ^ salt);
}

/** A permutation of 32 bits without a pattern (the finalizer of MurmurHash3). */
function mixed(value: number): number {
  let bits = value;
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return (bits ^ (bits >>> 16)) >>> 0;
}
