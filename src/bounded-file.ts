/** Files that somebody else wrote: no more of one is read than it may have. */
import { fileSystem } from "./builtin.ts";
import { ERRNO } from "./errno.ts";

const CHUNK_BYTES = 1 << 16;

export interface BoundedText {
  readonly text: string;
  /** Whether that is all of it. */
  readonly isWhole: boolean;
}

/** The first `most` bytes of a file, or of what a pipe brings, as text. @throws what node:fs throws. */
export function readBounded(path: string, most: number): BoundedText {
  const { closeSync, openSync } = fileSystem();
  const file = openSync(path, "r");
  try {
    return bounded(file, most);
  } finally {
    closeSync(file);
  }
}

/**
 * The text of an ordinary file that has at most `most` bytes: a pipe would be waited for, and a device may do anything when it is
 * opened. -EISDIR for a directory, -EINVAL for what is no file besides, -EFBIG for what is larger.
 *
 * @throws what node:fs throws.
 */
export function readOrdinary(path: string, most: number): string | number {
  const { closeSync, constants, fstatSync, openSync, statSync } = fileSystem();
  const what = statSync(path);
  if (!what.isFile()) return what.isDirectory() ? -ERRNO.EISDIR : -ERRNO.EINVAL;
  // It may have become another thing since: a pipe is not waited for.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = fstatSync(file);
    if (!status.isFile()) return -ERRNO.EINVAL;
    if (status.size > most) return -ERRNO.EFBIG;
    const { text, isWhole } = bounded(file, most); // files of procfs say that they have 0 bytes
    return isWhole ? text : -ERRNO.EFBIG;
  } finally {
    closeSync(file);
  }
}

function bounded(file: number, most: number): BoundedText {
  const { readSync } = fileSystem();
  const chunk = Buffer.alloc(Math.min(most, CHUNK_BYTES));
  const parts: Buffer[] = [];
  for (let size = 0; size < most; ) {
    const length = readSync(file, chunk, 0, Math.min(chunk.length, most - size), null);
    if (length === 0) return { text: Buffer.concat(parts).toString("utf8"), isWhole: true };
    parts.push(Buffer.from(chunk.subarray(0, length)));
    size += length;
  }
  return { text: Buffer.concat(parts).toString("utf8"), isWhole: readSync(file, chunk) === 0 };
}
