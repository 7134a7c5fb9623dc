import type { Disk } from "./disk.ts";

/** A namespace, and what was done with it. */
export class Namespace {
  readonly id: number;
  readonly disk: Disk;
  readonly blockBytes: number;
  readonly blocks: number;
  reads = 0;
  writes = 0;
  blocksRead = 0;
  blocksWritten = 0;
  /** Feature 05h. */
  errorRecovery = 0;

  constructor(id: number, disk: Disk, blockBytes: number) {
    this.id = id;
    this.disk = disk;
    this.blockBytes = blockBytes;
    this.blocks = disk.bytes / blockBytes;
  }
}
