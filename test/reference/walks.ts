/** The walks over memsegs, on numbers of memsegs as the core gives them out: the twin of the walks over columns. */
import { ListFlag, NO_ADDRESS } from "../../src/core.ts";
import type { ListTwin, MemsegTwin } from "./memsegs.ts";

/** By number; `null` where a number is free. */
export type Numbers = readonly (MemsegTwin | null)[];

/** What the three walks say: of the highest memseg that is served, of those with a known IOVA, and of all. */
export interface Walked {
  /** `undefined`: no memseg is served. */
  readonly highest: { readonly last: bigint; readonly pageShift: number } | undefined;
  readonly valid: { readonly count: bigint; readonly bytes: bigint };
  readonly all: { readonly count: bigint; readonly bytes: bigint };
}

export type Walk = (lists: readonly ListTwin[], numbers: Numbers) => Walked;

interface Ways {
  /** Which numbers are looked at. */
  readonly looksAt?: (numbers: Numbers) => Numbers;
  readonly isServed?: (flags: number) => boolean;
  readonly last?: (memseg: MemsegTwin) => bigint;
  readonly isHigher?: (a: bigint, b: bigint) => boolean;
  readonly isValid?: (memseg: MemsegTwin) => boolean;
  readonly sum?: (total: bigint, bytes: bigint) => bigint;
}

const isServed = (flags: number): boolean => (flags & ListFlag.EXTERNAL) === 0 || (flags & ListFlag.HEAP) !== 0;

/** The walks; right where no other way is given. */
function walkWith(ways: Ways): Walk {
  const { last = ({ va, length }) => va + length - 1n, isHigher = (a, b) => a > b } = ways;
  const { sum = (total, bytes) => total + bytes, isValid = ({ iova }) => iova !== NO_ADDRESS } = ways;
  return (lists, numbers) => {
    let highest: Walked["highest"];
    let [valid, validBytes, count, bytes] = [0n, 0n, 0n, 0n];
    for (const memseg of ways.looksAt?.(numbers) ?? numbers) {
      if (memseg === null) continue;
      const list = lists[memseg.list] as ListTwin;
      const at = last(memseg);
      if ((ways.isServed ?? isServed)(list.flags) && (highest === undefined || isHigher(at, highest.last)))
        highest = { last: at, pageShift: list.pageShift };
      if (isValid(memseg)) {
        valid += 1n;
        validBytes = sum(validBytes, memseg.length);
      }
      count += 1n;
      bytes = sum(bytes, memseg.length);
    }
    return { highest, valid: { count: valid, bytes: validBytes }, all: { count, bytes } };
  };
}

export const walk: Walk = walkWith({});

const free: MemsegTwin = { list: 0, va: 0n, iova: NO_ADDRESS, length: 0n };
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

/** The double whose bits are those of 1.0 and an address added. */
const double = (address: bigint): number => {
  const bits = new DataView(new ArrayBuffer(8));
  bits.setBigUint64(0, u64(address + (0x3ffn << 52n)));
  return bits.getFloat64(0);
};

/** Ways to walk that are right for most tables. */
export const temptingWalks: Readonly<Record<string, Walk>> = {
  "compares signed addresses": walkWith({ isHigher: (a, b) => BigInt.asIntN(64, a) > BigInt.asIntN(64, b) }),
  "compares ends, which are 0 at 2^64": walkWith({ isHigher: (a, b) => u64(a + 1n) > u64(b + 1n) }),
  "compares as doubles what is no number of theirs": walkWith({ isHigher: (a, b) => double(a) > double(b) }),
  "compares the upper halves": walkWith({ isHigher: (a, b) => a >> 32n > b >> 32n }),
  "takes the first byte behind a memseg for its last": walkWith({ last: ({ va, length }) => va + length }),
  "takes a free number for a memseg": walkWith({
    looksAt: (numbers) => numbers.map((each) => each ?? free),
    last: ({ va, length }) => u64(va + length - 1n),
  }),
  "takes all external memory": walkWith({ isServed: () => true }),
  "takes no external memory": walkWith({ isServed: (flags) => (flags & ListFlag.EXTERNAL) === 0 }),
  "takes an IOVA with the sign bit for one that is not known": walkWith({ isValid: ({ iova }) => iova >> 63n === 0n }),
  "takes IOVA 0 for one that is not known": walkWith({ isValid: ({ iova }) => iova !== 0n && iova !== NO_ADDRESS }),
  "adds bytes in 32 bits": walkWith({ sum: (total, bytes) => BigInt.asUintN(32, total + bytes) }),
  "stops at the first free number": walkWith({
    looksAt: (numbers) => (numbers.includes(null) ? numbers.slice(0, numbers.indexOf(null)) : numbers),
  }),
  "forgets the last of an odd number": walkWith({ looksAt: (numbers) => numbers.slice(0, numbers.length & ~1) }),
  "forgets those behind the last group of four": walkWith({
    looksAt: (numbers) => numbers.slice(0, numbers.length & ~3),
  }),
  "forgets those behind the last group of eight": walkWith({
    looksAt: (numbers) => numbers.slice(0, numbers.length & ~7),
  }),
  "forgets the first": walkWith({ looksAt: (numbers) => numbers.slice(1) }),
};
