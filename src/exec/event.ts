import { EVENT_BYTES, type Supervision } from "../supervision.ts";

/** Where the fields of an event lie: `ExecEvent` of `shim/exec_event.h`. */
const At = {
  ID: 0,
  THREAD: 8,
  KIND: 12,
  ARGUMENTS: 16,
  INSTRUCTION: 64,
  DEVICE: 72,
  INODE: 80,
  BYTES: 88,
  DETAIL: 92,
  DIRECTORY: 96,
  RELEASED: 100,
  DATA: 104,
};

/** What a thread of the program asks for, and waits for. One object for all of them: it is good until the next one is received. */
export class ProgramEvent {
  readonly memory = new Uint8Array(EVENT_BYTES);
  readonly #view = new DataView(this.memory.buffer);
  readonly #native: Supervision;

  constructor(native: Supervision) {
    this.#native = native;
  }

  /** Its kind. */
  receive(milliseconds: number): number {
    return this.#native.execNext(this.memory, milliseconds);
  }

  get id(): bigint {
    return this.#view.getBigUint64(At.ID, true);
  }

  /** The thread that asks, by its number here. */
  get thread(): number {
    return this.#view.getUint32(At.THREAD, true);
  }

  argument(index: number): bigint {
    return this.#view.getBigUint64(At.ARGUMENTS + 8 * index, true);
  }

  /** The lower half, without a sign. */
  word(index: number): number {
    return this.#view.getUint32(At.ARGUMENTS + 8 * index, true);
  }

  get instruction(): bigint {
    return this.#view.getBigUint64(At.INSTRUCTION, true);
  }

  /** The file's name in {@link GivenFiles} and {@link World}. */
  get file(): string {
    return fileKey(this.#view.getBigUint64(At.DEVICE, true), this.#view.getBigUint64(At.INODE, true));
  }

  /** Of an open: whether its first argument is a directory's descriptor. */
  get hasDirectory(): boolean {
    return this.#view.getUint32(At.DIRECTORY, true) === 1;
  }

  /** Whether files that the program was given are nobody's any more. */
  get hasReleased(): boolean {
    return this.#view.getUint32(At.RELEASED, true) > 0;
  }

  get detail(): number {
    return this.#view.getUint32(At.DETAIL, true);
  }

  /** What was read of the program's memory: a struct's beginning, or a path. */
  get data(): Uint8Array {
    return this.memory.subarray(At.DATA, At.DATA + this.#view.getUint32(At.BYTES, true));
  }
}

/** A file by its device and inode. */
export function fileKey(device: bigint | number, inode: bigint | number): string {
  return `${device}:${inode}`;
}

/** Entries of a list as the shim takes them: the third number is 0 where there is none. */
export function entriesOf(entries: Iterable<readonly [bigint, bigint, bigint?]>): Uint8Array {
  return new Uint8Array(
    BigUint64Array.from([...entries].flatMap(([one, two, three = 0n]) => [one, two, three])).buffer,
  );
}
