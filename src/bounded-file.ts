/** Files that somebody else wrote: no more of one is read than it may have. */
import { closeSync, openSync, readSync } from "node:fs";

const CHUNK_BYTES = 1 << 16;

/** The first `most` bytes of a file as text, and whether that is all of it. @throws what node:fs throws. */
export function readBounded(path: string, most: number): { readonly text: string; readonly isWhole: boolean } {
  const file = openSync(path, "r");
  try {
    const chunk = Buffer.alloc(Math.min(most, CHUNK_BYTES));
    const parts: Buffer[] = [];
    for (let size = 0; size < most; ) {
      const length = readSync(file, chunk, 0, Math.min(chunk.length, most - size), null);
      if (length === 0) return { text: Buffer.concat(parts).toString("utf8"), isWhole: true };
      parts.push(Buffer.from(chunk.subarray(0, length)));
      size += length;
    }
    return { text: Buffer.concat(parts).toString("utf8"), isWhole: readSync(file, chunk) === 0 };
  } finally {
    closeSync(file);
  }
}
