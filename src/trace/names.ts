/** What a recording calls the addresses and descriptors of its process, so that they mean the same in another one. */
import { hex } from "../hex.ts";
import { ADDRESSES_END, ALIGNMENT, mayBeMemory, NEIGHBOURHOOD, NEIGHBOURHOOD_SHIFT, placeText } from "./addresses.ts";
import { Spans } from "./spans.ts";

interface Region {
  readonly name: string;
  /** Where it began. */
  readonly base: bigint;
}

/** How the result of an mmap is written down. */
export interface NamedRegion {
  readonly answer: string;
  /** Its distance from older memory nearby. */
  readonly at?: string;
  /** Its address modulo {@link ALIGNMENT}, where no older memory is near. */
  readonly phase?: string;
}

/** Memory by the mmap that made it. Cost: two look-ups in a table of what was ever mmapped, as far as it still has a name. */
export class AddressNames {
  /** Which region names which addresses: the newest, also after its munmap. */
  readonly #regions = new Spans<Region>();
  #count = 0;
  readonly #neighbourhoods = new Map<bigint, string>();

  nameOf(address: bigint): string {
    const known = this.#known(address);
    if (known !== undefined) return known;
    if (!mayBeMemory(address)) return hex(address);
    const number = address >> NEIGHBOURHOOD_SHIFT;
    const name = this.#neighbourhoods.get(number) ?? `x${this.#neighbourhoods.size + 1}`;
    this.#neighbourhoods.set(number, name);
    return placeText(name, address & (NEIGHBOURHOOD - 1n));
  }

  /** A hint for an mmap is a wish and no memory: it stays a number unless it names memory that is known. */
  nameOfHint(address: bigint): string | null {
    return address === 0n ? null : (this.#known(address) ?? hex(address));
  }

  /**
   * Memory came. At an address that the program chose, inside a region that is known, it is a part of that: lists keep
   * address space first and put pages into it later, and one name for both is easier to read.
   */
  mapped(start: bigint, end: bigint, chosen: boolean): NamedRegion {
    const around = this.#regions.at(start);
    if (chosen && around !== undefined && end <= around.end) return { answer: this.nameOf(start) };
    const answer = `m${++this.#count}`;
    const neighbour = chosen ? undefined : this.#regions.nearest(start, end);
    this.#regions.set(start, end, { name: answer, base: start });
    if (chosen) return { answer };
    if (neighbour === undefined || neighbour.distance >= ALIGNMENT) {
      return { answer, phase: hex(start & (ALIGNMENT - 1n)) };
    }
    const { name, base } = neighbour.span.value;
    return { answer, at: placeText(name, start - base) };
  }

  #known(address: bigint): string | undefined {
    const region = this.#regions.at(address)?.value;
    return region === undefined ? undefined : placeText(region.name, address - region.base);
  }
}

/** Descriptors by their opening; a number that none of them has stays a number. A closed one keeps its name until reused. */
export class FileNames {
  readonly #names = new Map<number, string>();
  #count = 0;

  opened(fd: number): string {
    const name = `f${++this.#count}`;
    this.#names.set(fd, name);
    return name;
  }

  nameOf(fd: number): string | number {
    return this.#names.get(fd) ?? fd;
  }
}

/**
 * The IOVAs of one container that the program made equal to the addresses of its memory, by mapping them so. Only those are
 * named as addresses are: another IOVA is a number, also where it happens to be an address.
 */
export class EqualIovas {
  readonly #ranges = new Spans<true>();

  /** A map of `vaddr` at `iova`. */
  mapping(vaddr: bigint, iova: bigint, size: bigint): void {
    if (vaddr !== iova || !mayBeMemory(iova)) return;
    const end = iova + (size === 0n ? 1n : size);
    this.#ranges.set(iova, end < ADDRESSES_END ? end : ADDRESSES_END, true);
  }

  has(iova: bigint): boolean {
    return this.#ranges.at(iova) !== undefined;
  }
}
