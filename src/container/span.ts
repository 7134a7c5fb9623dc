/**
 * The IOVAs of a window as numbers, for questions that leave no garbage.
 *
 * Start and size are whole pages of 4 KiB or larger ones, so both are exact as doubles; the end, which may be 2^64, is never
 * formed. What comes in is exact too (memory/exact.ts): whole pages, or at most 2^53 - 1. What is computed from it:
 *
 *     offset = iova - start    exact unless negative: between whole pages it is whole pages; from an iova that is none, and
 *                              is therefore below 2^53, it is an integer below 2^53. Rounding keeps a negative one negative
 *     size - offset            exact where offset is whole pages. Otherwise offset is below 2^53; if the difference is too,
 *                              it is exact, and if it is not, it is rounded to 2^53 or more
 *     size - length            the same, with length for offset
 *
 * Rounding keeps order, so neither `length <= size - offset` nor `offset <= size - length` says no to what fits. What does
 * not fit, one of them sees: the first where offset is whole pages, the second where length is, and where neither is, the
 * first again, because a difference of 2^53 or more is above such a length, rounded or not. One alone would not do: 2^60
 * bytes at offset 1 of 2^60 fit by the first, since 2^60 - 1 rounds to 2^60.
 */
import { inexact, isExact, isPages, isU64 } from "../memory/exact.ts";

export class Span {
  /** Of a window that is gone: nothing lies in it. */
  static readonly NONE = new Span(0n, 0n, 12);

  readonly #start: number;
  readonly #size: number;
  /** 2^-pageShift: to multiply by it changes nothing but the exponent. */
  readonly #pagesPerByte: number;

  /** Start and size of a window, which are whole pages of it; its end is at most 2^64. */
  constructor(start: bigint, size: bigint, pageShift: number) {
    this.#start = Number(start);
    this.#size = Number(size);
    this.#pagesPerByte = 2 ** -pageShift;
  }

  /** Whether `length` bytes from `iova`, at least one, lie in the window. @throws `ERR_OUT_OF_RANGE` where not exact. */
  contains(iova: number, length: number): boolean {
    return this.hasPages(iova, length) || this.#contains(iova, length);
  }

  /** Whether both are whole pages, and those lie in the window: the usual question, and the shortest. */
  hasPages(iova: number, length: number): boolean {
    const offset = iova - this.#start;
    return isPages(iova) && isPages(length) && offset >= 0 && length > 0 && length <= this.#size - offset;
  }

  /** The rest. It takes numbers alone and stays small: V8 would pass them in boxes to what it does not inline. */
  #contains(iova: number, length: number): boolean {
    if (!isExact(iova) || !isExact(length) || !isU64(iova) || !isU64(length)) throw refusal(iova, length);
    const offset = iova - this.#start;
    return offset >= 0 && length > 0 && length <= this.#size - offset && offset <= this.#size - length;
  }

  /** Which page of the window holds `iova`: below 2^36; -1 outside. @throws `ERR_OUT_OF_RANGE` where not exact. */
  tceIndex(iova: number): number {
    if (!isExact(iova)) throw refusal(iova, 0);
    const offset = iova - this.#start;
    if (offset >= 0 && offset < this.#size) return Math.floor(offset * this.#pagesPerByte);
    if (isU64(iova)) return -1;
    throw refusal(iova, 0);
  }
}

/** Apart from the questions, which stay small enough to be compiled into their callers. */
function refusal(iova: number, length: number): Error | undefined {
  return inexact("iova", iova) ?? inexact("length", length);
}
