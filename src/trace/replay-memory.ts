/** The memory of a replay: what stands, in this process, for the addresses of the one that was recorded. */
import { ERRNO } from "../errno.ts";
import { MapFlag, Protection, type Syscalls } from "../syscalls.ts";
import { ADDRESSES_END, ADDRESSES_START, ALIGNMENT, NEIGHBOURHOOD, parsePlace } from "./addresses.ts";
import { plainAnswer } from "./answers.ts";
import { flagsOf, protectionOf, type TraceCall } from "./format.ts";
import { malformed } from "./problems.ts";
import { Spans } from "./spans.ts";

/** What a real kernel is not asked for, in the place of an answer: it would reach what is not the replay's own. */
export const NOT_OURS = "not made: it would reach memory that is not the replay's own";

const ENOSYS = -ERRNO.ENOSYS;

/** How many places are tried for memory that has to lie as it lay to the largest pages. */
const TRIES = 8n;

/** An mmap, as the trace has it. */
interface Wish {
  readonly hint: bigint;
  readonly length: bigint;
  readonly protection: number;
  readonly flags: number;
  readonly pageShift: number;
}

export class ReplayMemory {
  readonly #kernel: Syscalls;
  /** Behind a real kernel is the memory of this very process: nothing of it may be replaced. */
  readonly #isReal: boolean;
  readonly #bases = new Map<string, bigint>();
  /** Address space that is the replay's. */
  readonly #held = new Spans<true>();
  /** Pages that it made in address space kept for memory that the program had in another way. */
  readonly #made = new Spans<true>();
  #nowhere = ADDRESSES_END;
  /** Regions that do not lie as they lay. */
  moved = 0;

  constructor(kernel: Syscalls) {
    this.#kernel = kernel;
    this.#isReal = kernel.name === "linux";
  }

  /** `m1+0x1000` as an address here. @throws `ERR_TRACE_MALFORMED` for a region that no mmap of the trace made. */
  address(text: string, line: number): bigint {
    const place = parsePlace(text);
    if (place === undefined) return BigInt(text);
    const base = this.#bases.get(place.name) ?? (place.name.startsWith("x") ? this.#keep(place.name) : undefined);
    if (base === undefined) throw malformed(line, `nothing before it made ${place.name}`);
    return BigInt.asUintN(64, base + place.offset);
  }

  /**
   * The program used memory that it had not from mmap, and the kernel took it: ordinary pages stand for it.
   */
  provide(text: string, size: bigint, line: number): void {
    if (!text.startsWith("x")) return;
    const address = this.address(text, line);
    const start = address - (address % this.#page);
    const end = start + this.#rounded(address - start + size);
    if (!this.#held.covers(start, end)) return;
    for (const gap of this.#made.gaps(start, end)) {
      const both = Protection.READ | Protection.WRITE;
      const answer = this.#kernel.mmap(gap.start, gap.end - gap.start, both, MapFlag.FIXED, 0);
      if (answer >= 0n) this.#made.set(gap.start, gap.end, true);
    }
  }

  /** Gives the answer as the trace would have it: what was expected, where that came true. */
  map({ line, fields, answer: expected }: TraceCall): string {
    const wish = this.#wishOf(fields, line);
    const { hint, flags } = wish;
    const end = hint + this.#sizeOf(wish);
    const place = typeof expected === "string" ? parsePlace(expected) : undefined;
    const isNew = place !== undefined && !this.#bases.has(place.name);
    if (isNew) {
      if (place.offset !== 0n) throw malformed(line, `nothing before it made ${place.name}`);
      this.#bases.set(place.name, this.#noMemory()); // until it is there
    }
    if (this.#isReal && (flags & MapFlag.FIXED) !== 0 && !this.#held.covers(hint, end)) return NOT_OURS;
    // Where the program found room, this replay may have kept it.
    if ((flags & MapFlag.FIXED_NOREPLACE) !== 0 && place !== undefined && isKept(fields.near)) this.#release(hint, end);
    let answer = this.#mmap(wish);
    if (answer >= 0n && place === undefined) {
      this.#release(answer, answer + this.#sizeOf(wish));
      return "memory";
    }
    if (answer >= 0n && !isChosen(wish)) answer = this.#moved(answer, wish, fields, line);
    if (answer < 0n || place === undefined) return String(plainAnswer(Number(answer))); // an errno
    this.#held.set(answer, answer + this.#sizeOf(wish), true);
    if (isNew) this.#bases.set(place.name, answer);
    return this.#bases.get(place.name) === answer - place.offset ? String(expected) : "memory elsewhere";
  }

  unmap({ line, fields }: TraceCall): string {
    const address = this.address(fields.address as string, line);
    const length = BigInt(fields.length as string);
    const end = address + this.#rounded(length);
    if (this.#isReal && !this.#held.covers(address, end)) return NOT_OURS;
    const answer = this.#kernel.munmap(address, length);
    if (answer === 0) this.#forget(address, end);
    return String(plainAnswer(answer));
  }

  /** A kernel without the call says ENOSYS, as one does that was built without NUMA. */
  bind({ line, fields }: TraceCall): string {
    const address = this.address(fields.address as string, line);
    const length = BigInt(fields.length as string);
    if (this.#isReal && !this.#held.covers(address, address + this.#rounded(length))) return NOT_OURS;
    return String(plainAnswer(this.#kernel.bindNode?.(address, length, fields.node as number) ?? ENOSYS));
  }

  /** Gives all of it back. */
  close(): void {
    for (const { start, end } of [...this.#held]) this.#release(start, end);
  }

  /**
   * Memory that the kernel placed, put where it has to lie: at its distance from older memory, or as it lay to the largest
   * pages. Where that cannot be it stays wherever the kernel likes. Gives its address, or an errno.
   */
  #moved(answer: bigint, wish: Wish, { at, phase }: TraceCall["fields"], line: number): bigint {
    const wanted = typeof at === "string" ? [this.address(at, line)] : [];
    if (typeof phase === "string") wanted.push(...candidates(answer, BigInt(phase)));
    if (wanted.length === 0 || wanted.includes(answer)) return answer;
    this.#release(answer, answer + this.#sizeOf(wish));
    for (const hint of wanted) {
      const placed = this.#mmap({ ...wish, hint, flags: wish.flags | MapFlag.FIXED_NOREPLACE });
      if (placed === hint) return placed;
      // Linux before 4.17 does not know the flag, and takes the address for a hint.
      if (placed >= 0n) this.#release(placed, placed + this.#sizeOf(wish));
    }
    this.moved++;
    return this.#mmap(wish);
  }

  /** Keeps 64 GiB of address space for a neighbourhood: nothing is in it, and nothing else can come there. */
  #keep(name: string): bigint {
    const start = this.#kernel.mmap(0n, 2n * NEIGHBOURHOOD, Protection.NONE, MapFlag.NORESERVE, 0);
    let base = this.#noMemory();
    if (start >= 0n) {
      base = start + (-start & (NEIGHBOURHOOD - 1n));
      this.#release(start, base);
      this.#release(base + NEIGHBOURHOOD, start + 2n * NEIGHBOURHOOD);
      this.#held.set(base, base + NEIGHBOURHOOD, true);
    }
    this.#bases.set(name, base);
    return base;
  }

  /** Where no memory can be: what is asked of it fails as it does for any address without memory. */
  #noMemory(): bigint {
    this.#nowhere += NEIGHBOURHOOD;
    return this.#nowhere;
  }

  #wishOf(fields: TraceCall["fields"], line: number): Wish {
    return {
      hint: fields.near === null ? 0n : this.address(fields.near as string, line),
      length: BigInt(fields.length as string),
      protection: protectionOf(fields.protection) ?? 0,
      flags: flagsOf(fields.flags) ?? 0,
      pageShift: (fields.pageShift as number | undefined) ?? 0,
    };
  }

  #mmap({ hint, length, protection, flags, pageShift }: Wish): bigint {
    return this.#kernel.mmap(hint, length, protection, flags, pageShift);
  }

  #release(start: bigint, end: bigint): void {
    if (start < end && this.#kernel.munmap(start, end - start) === 0) this.#forget(start, end);
  }

  #forget(start: bigint, end: bigint): void {
    this.#held.clear(start, end);
    this.#made.clear(start, end);
  }

  get #page(): bigint {
    return BigInt(this.#kernel.pageSize);
  }

  #rounded(length: bigint, page = this.#page): bigint {
    return ((length + page - 1n) / page) * page;
  }

  /** What an mmap takes: whole pages of its own. */
  #sizeOf({ length, flags, pageShift }: Wish): bigint {
    return this.#rounded(length, (flags & MapFlag.HUGETLB) === 0 ? this.#page : 1n << BigInt(Math.min(pageShift, 63)));
  }
}

/** In address space that a replay keeps for a neighbourhood. */
function isKept(near: unknown): boolean {
  return typeof near === "string" && near.startsWith("x");
}

function isChosen({ flags }: Wish): boolean {
  return (flags & (MapFlag.FIXED | MapFlag.FIXED_NOREPLACE)) !== 0;
}

/** Addresses with that phase from the answer downwards; the answer itself comes first where it has it. */
function candidates(answer: bigint, phase: bigint): bigint[] {
  const nearest = answer - (answer & (ALIGNMENT - 1n)) + phase;
  const highest = nearest > answer ? nearest - ALIGNMENT : nearest;
  return Array.from({ length: Number(TRIES) }, (_, i) => highest - BigInt(i) * ALIGNMENT).filter(
    (address) => address >= ADDRESSES_START,
  );
}
