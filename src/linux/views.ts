/**
 * ArrayBuffers over memory that is mmapped, and their end.
 *
 * A buffer that a program has can be moved into another one (`transfer`, `structuredClone`, a message to a worker), or be made one
 * that cannot be ended (`markAsUntransferable`, asm.js). So to end a view is an attempt, and what came of it is said: nothing leads
 * to the memory any more, or something may, and then the shim knows when the last buffer over it is gone, in any thread.
 *
 * Besides, Node may have the bare address: for a request that is under way, or for a socket that reads into a buffer (sockets.ts).
 *
 * Node keeps a hand on a buffer that an addon makes: at the end of its thread it detaches it, and aborts where that is forbidden
 * (Node 24.16 and later, after `markAsUntransferable`). So what is given out is not that buffer but what it was moved into, which
 * belongs to the program alone. Node 20 cannot move it and forbids nothing: there the buffer itself is given out.
 */
import process from "node:process";
import { apply, bufferLengthOf, bufferOf, kindOf, lengthOf, OwnWeakMap } from "../captured.ts";
import { argumentTypeError, DmaWindowError } from "../errors.ts";
import type { Sight } from "../syscalls.ts";
import { isReadInto } from "./sockets.ts";

/** What is needed of the shim. */
interface Buffers {
  view(address: bigint, length: bigint, mark: Uint8Array): ArrayBuffer;
  detach(buffer: ArrayBuffer): void;
  isSeen(mark: bigint): boolean;
  isBusy(most: number): boolean;
  openStreams<T>(list: () => T): T | undefined | null;
  weak(buffer: ArrayBufferLike): object;
  isCollected(weak: object): boolean;
  collect(bytes: number): void;
}

type Move = (this: ArrayBuffer) => ArrayBuffer;

/** Taken at once: what a program puts in their place later is not called. */
const move = (ArrayBuffer.prototype as { transfer?: Move }).transfer;

/** Bun and Deno have loops of their own: what is in flight there is not known. */
const isNode = process.versions.bun === undefined && process.versions.deno === undefined;

/** So much memory, told of at once, makes V8 collect garbage before it goes on. */
const MUCH_MEMORY = 2 ** 36;

export class Views {
  readonly #shim: () => Buffers;
  /** The marks of buffers that were made here and not ended: no other one is ever detached. */
  readonly #marks = new OwnWeakMap<ArrayBufferLike, bigint>();
  /** Those of buffers that were ended, or were moved before. */
  readonly #ended = new OwnWeakMap<ArrayBufferLike, bigint>();

  /** `shim` loads it. */
  constructor(shim: () => Buffers) {
    this.#shim = shim;
  }

  /** @throws RangeError; DmaWindowError `ERR_NO_EXTERNAL_BUFFERS`. */
  make(address: bigint, length: bigint): Uint8Array {
    const mark = new BigUint64Array(1);
    const made = this.#external(address, length, new Uint8Array(bufferOf(mark)));
    const buffer = move === undefined ? made : apply(move, made, []);
    this.#marks.set(buffer, mark[0] as bigint);
    return new Uint8Array(buffer);
  }

  /** @throws TypeError for what is no view of this kernel, or has been ended. */
  end(view: Uint8Array): Sight | undefined {
    const buffer = kindOf(view) === "Uint8Array" ? bufferOf(view) : undefined;
    const mark = buffer === undefined ? undefined : this.#marks.get(buffer);
    if (buffer === undefined || mark === undefined) {
      throw argumentTypeError("view", "a view that this kernel made and has not ended", view);
    }
    this.#marks.delete(buffer);
    this.#ended.set(buffer, mark);
    // A buffer of length 0 was moved: none is made so.
    const moved = bufferLengthOf(buffer) === 0 || !this.#detach(buffer as ArrayBuffer);
    if (!moved && !this.#isBusy() && this.#isReadInto(mark, false) === false) return undefined;
    // What is under way has a bare pointer, and holds the buffer's object until it is done.
    const weak = this.#shim().weak(buffer);
    const isHeld = () => !this.#shim().isCollected(weak);
    let isRead = true;
    const reads = () => {
      isRead &&= this.#isReadInto(mark, moved) ?? isHeld();
      return isRead;
    };
    return {
      // Sockets are asked once the last buffer is gone: it may be that one which they were given.
      seen: () => (moved && this.#shim().isSeen(mark)) || reads() || (this.#isBusy() && isHeld()),
      get moved() {
        return moved || reads();
      },
      collect: () => this.#shim().collect(MUCH_MEMORY),
    };
  }

  #external(address: bigint, length: bigint, mark: Uint8Array): ArrayBuffer {
    try {
      return this.#shim().view(address, length, mark);
    } catch (cause) {
      if ((cause as { code?: unknown }).code !== "ERR_NO_EXTERNAL_BUFFERS") throw cause;
      throw new DmaWindowError(
        "ERR_NO_EXTERNAL_BUFFERS",
        "this engine has no ArrayBuffers over memory of others (V8's sandbox, as in Electron): use read and write of the segment, which copy",
        { cause },
      );
    }
  }

  /** Whether the buffer's memory was taken from it. Where that is forbidden it keeps it. */
  #detach(buffer: ArrayBuffer): boolean {
    try {
      if (move === undefined) this.#shim().detach(buffer);
      else apply(move, buffer, []);
      return true;
    } catch {
      return false;
    }
  }

  /** Whether anything is under way in this thread that may lead to a view; where nobody knows, it may be. */
  #isBusy(): boolean {
    return !isNode || this.#shim().isBusy(0);
  }

  /**
   * Whether a socket reads into what a buffer had that was ended; `undefined` where nobody knows. `moved`: or into what another
   * one had that is not known here: that may have been the last in a row of moves.
   */
  #isReadInto(mark: bigint, moved: boolean): boolean | undefined {
    return isReadInto(this.#shim(), (array) => {
      const ended = this.#ended.get(bufferOf(array));
      return ended === mark || (moved && ended === undefined && lengthOf(array) === 0);
    });
  }
}
