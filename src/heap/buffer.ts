import { Closable } from "../closable.ts";
import { markClass } from "../copies.ts";
import { coded, DmaWindowError } from "../errors.ts";
import { hex } from "../hex.ts";
import { inspectable, whereClosed } from "../inspect.ts";
import { counted } from "./leaks.ts";

/** The heap of a buffer, as the buffer knows it. */
interface BufferHeap {
  readonly closed: boolean;
  iovaOf(handle: number): bigint;
  sizeOf(handle: number): number;
  bytes(handle: number): Uint8Array;
  read(handle: number, offset: number, into: Uint8Array): void;
  write(handle: number, offset: number, from: Uint8Array): void;
  free(handle: number): void;
}

/** The lengths of those that are open, by handle: what a leak is called. */
const lengths = new WeakMap<BufferHeap, Map<number, number>>();

/** Only heaps make buffers. */
let make: (heap: BufferHeap, handle: number, length: number) => DmaBuffer;

/**
 * A block of a heap as an object. Made by {@link DmaHeap.buffer}: the comfortable way, some 200 ns and a few small objects for each,
 * where a handle costs about 10 ns and none.
 *
 *     using buffer = heap.buffer(4096);
 *     buffer.bytes.set(command);
 *     device.write(buffer.iova, buffer.length);
 *
 * Nothing frees one that is forgotten: an object that is garbage says nothing of the device, which may write there still. So a
 * buffer is live until {@link close}, `using`, or the end of its heap, and {@link DmaHeap.leaks} names those that are.
 */
export class DmaBuffer extends Closable {
  /** Its handle in the heap. */
  readonly handle: number;
  /** Bytes: as many as were asked for. */
  readonly length: number;
  /** Where the device finds it. */
  readonly iova: bigint;
  readonly #heap: BufferHeap;
  #bytes: Uint8Array | undefined;
  #open = true;

  static {
    make = (...of) => new DmaBuffer(make, ...of);
  }

  /** @internal Made by a heap. */
  constructor(key: unknown, heap: BufferHeap, handle: number, length: number) {
    if (key !== make) throw coded(new TypeError("buffers are made by buffer of a DmaHeap"), "ERR_INVALID_ARG_TYPE");
    super();
    this.#heap = heap;
    this.handle = handle;
    this.length = length;
    this.iova = heap.iovaOf(handle);
    const others = lengths.get(heap) ?? new Map<number, number>();
    lengths.set(heap, others.set(handle, length));
  }

  get closed(): boolean {
    return !this.#open;
  }

  /**
   * The memory itself: the same array each time. After {@link close} it shows what is another owner's.
   *
   * @throws `ERR_NOT_LIVE`, `ERR_STALE_HANDLE` after it was closed; `ERR_CLOSED` after its heap was; `ERR_NO_EXTERNAL_BUFFERS` on
   * engines that cannot show memory (Electron): see {@link read} and {@link write}.
   */
  get bytes(): Uint8Array {
    if (this.#bytes !== undefined && this.#bytes.byteLength > 0) return this.#bytes;
    this.#bytes = this.#heap.bytes(this.#live()).subarray(0, this.length);
    return this.#bytes;
  }

  /** Copies out of it, from `offset` on, as many bytes as `into` has. On every engine. @throws as {@link bytes}; `ERR_OUT_OF_RANGE`. */
  read(offset: number, into: Uint8Array): void {
    this.#heap.read(this.#live(), offset, into);
  }

  /** Copies into it, likewise. */
  write(offset: number, from: Uint8Array): void {
    this.#heap.write(this.#live(), offset, from);
  }

  /** Its handle, which may be another owner's once it is closed. */
  #live(): number {
    if (this.#open) return this.handle;
    throw new DmaWindowError(
      "ERR_NOT_LIVE",
      `the buffer of ${counted(this.length, "byte")} at IOVA ${hex(this.iova)} is closed`,
    );
  }

  /**
   * Frees it. Once more does nothing, also after its heap was closed. @throws as {@link DmaHeap.free}: then it is closed where its block
   * is not live, and else as it was.
   */
  close(): void {
    if (!this.#open) return;
    try {
      if (!this.#heap.closed) this.#heap.free(this.handle);
    } catch (error) {
      if (!this.#isLive()) this.#end();
      throw error;
    }
    this.#end();
  }

  #end(): void {
    this.#open = false;
    this.#bytes = undefined;
    lengths.get(this.#heap)?.delete(this.handle);
  }

  #isLive(): boolean {
    if (this.#heap.closed) return false;
    try {
      return this.#heap.sizeOf(this.handle) > 0;
    } catch {
      return false; // it is refused
    }
  }
}

markClass(DmaBuffer, "DmaBuffer");
inspectable(DmaBuffer, "DmaBuffer", (buffer) => ({
  state: whereClosed(buffer),
  handle: buffer.handle,
  length: buffer.length,
  iova: buffer.iova,
}));

/** A buffer of a block that is live. */
export function makeBuffer(heap: BufferHeap, handle: number, length: number): DmaBuffer {
  return make(heap, handle, length);
}

/** That a block is a buffer's, if it is. */
export function bufferAt(heap: BufferHeap, handle: number): { readonly buffer?: number } {
  const length = lengths.get(heap)?.get(handle);
  return length === undefined ? {} : { buffer: length };
}
