/** Disks of software devices whose bytes are a file's: read as a whole before a program begins, and written where they changed when it has ended. */
import { closeSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { bytes } from "../hex.ts";
import { UsageError } from "./usage.ts";

/** All of it is in memory meanwhile. */
const BYTES_MAX = 1 << 30;
const CHUNK_BYTES = 1 << 20;

export class DiskFiles {
  readonly #disks = new Map<string, Uint8Array>();

  /** @throws UsageError for what is no file that can be read and written, and where it is too large */
  read(path: string): Uint8Array {
    if (this.#disks.has(path)) throw new UsageError(`--devices: ${path} is the disk of two devices`);
    return opened(path, (file) => {
      const { size } = fstatSync(file);
      if (size === 0 || size > BYTES_MAX)
        throw new UsageError(
          `--devices: the disk ${path} must have from 1 byte to ${bytes(BigInt(BYTES_MAX))}; it has ${size}`,
        );
      const disk = new Uint8Array(size);
      for (let at = 0; at < size; ) {
        const read = readSync(file, disk, at, size - at, at);
        if (read === 0) throw new UsageError(`--devices: the disk ${path} became shorter while it was read`);
        at += read;
      }
      this.#disks.set(path, disk);
      return disk;
    });
  }

  /** What a program has written. @throws UsageError */
  write(): void {
    for (const [path, disk] of this.#disks) opened(path, (file) => writeChanges(file, disk));
  }
}

function writeChanges(file: number, disk: Uint8Array): void {
  const before = Buffer.alloc(CHUNK_BYTES);
  for (let at = 0; at < disk.length; at += CHUNK_BYTES) {
    const now = disk.subarray(at, at + CHUNK_BYTES);
    const read = readSync(file, before, 0, now.length, at);
    if (read !== now.length || before.compare(now, 0, now.length, 0, read) !== 0)
      writeSync(file, now, 0, now.length, at);
  }
}

function opened<T>(path: string, use: (file: number) => T): T {
  let file: number;
  try {
    file = openSync(path, "r+");
  } catch (error) {
    throw new UsageError(
      `--devices: the disk ${path} cannot be opened for reading and writing: ${(error as Error).message}`,
    );
  }
  try {
    return use(file);
  } finally {
    closeSync(file);
  }
}
