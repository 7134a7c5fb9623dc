import type { Range } from "../sorted.ts";

/** Memory that a device can be led to. In pages of 4 KiB, by the addresses that the process had it at when it was mapped. */
export interface DeviceMemory {
  /**
   * Lends the 4096 bytes of a page to `use`, which keeps nothing of them. What `use` writes is there for every other reader.
   *
   * @throws ModelUnknown for real memory that the process has unmapped since: it is not the model's to touch.
   */
  withPage(page: number, use: (bytes: Uint8Array) => void): void;

  /** The pieces of [start, end) where the process has not this memory any more: it unmapped it, or mmapped other memory there. */
  gone(start: number, end: number): Range[];
}

/** Which addresses lead to which pages, as the pages ask it: an address space. */
export interface Addresses {
  /** The pieces of [start, end) where something else is mapped than `backing`, or nothing. */
  without(backing: Backing, start: number, end: number): Range[];
}

/**
 * The pages that one mmap gave, apart from the addresses where they are found. Areas lead to them, and pins do: they exist
 * for as long as either needs them, so that a device that was given them reaches the same pages after a munmap.
 *
 *     areas    [ ........ )    [ ... )   what munmap and other mmaps have left   ─┐
 *     pinned        [ ....... )          REGISTER or MAP_DMA                     ─┴─> backing: page -> bytes
 */
export interface Backing extends DeviceMemory {
  /** Its first page and one past its last, as they were mmapped. */
  readonly start: number;
  readonly end: number;
  /** The size of its own pages: the CPU's, or a hugepage's. */
  readonly pageShift: number;

  /** What it is made of, in words: backings of one kind differ by their bytes alone. */
  readonly kind: string;

  /** The pieces of [start, end) that nobody has touched yet: a read would find the page of zeros there. */
  untouched(start: number, end: number): Range[];

  /** An area or a pin needs the pages of [start, end) from now on. */
  hold(start: number, end: number): void;

  /** It needs them no more; of what was held at once, parts may go one by one. */
  release(start: number, end: number): void;

  /** Pages of its own with the same bytes, for the address space of a child. */
  copyFor(child: Addresses): Backing;
}
