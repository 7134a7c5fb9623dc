import { Cursor, type ReadMemory, Unreadable, wrapped } from "./cursor.ts";

/** What functions have in common: how their rules are to be read. (Linux Standard Base, 10.6.1) */
export interface Cie {
  readonly codeAlignment: bigint;
  readonly dataAlignment: bigint;
  /** The register that stands for the return address. */
  readonly returnAddress: number;
  /** Of a signal's frame: what it leads to was interrupted, and did not call. */
  readonly isSignal: boolean;
  readonly instructions: Uint8Array;
  /** Reads an address as its functions have them. */
  readonly pointer: (cursor: Cursor) => bigint;
  /** Whether bytes with a length stand behind a function's range. */
  readonly hasData: boolean;
  readonly encoding: number;
}

/** The rules for a piece of code, [start, end). */
export interface Fde {
  readonly cie: Cie;
  /** Where these rules lie themselves. */
  readonly address: bigint;
  readonly start: bigint;
  readonly end: bigint;
  readonly instructions: Uint8Array;
}

/** Encodings of pointers. (Linux Standard Base, 10.5.1) */
const Encoding = {
  FORMAT: 0x0f,
  APPLICATION: 0x70,
  INDIRECT: 0x80,
  PC_RELATIVE: 0x10,
  DATA_RELATIVE: 0x30,
  OMITTED: 0xff,
} as const;

/** `.eh_frame_hdr` as all linkers write it: signed words, relative to its own beginning. */
const TABLE_ENCODING = 0x3b;
const ENTRY_BYTES = 8;

/** The longest one of a whole Debian is a tenth of it. */
const RECORD_BYTES = 1 << 18;
const TABLE_BYTES = 1 << 26;

/** A table of functions by their addresses, as `.eh_frame_hdr` has it. */
export interface FrameTable {
  /** Of the header: what the entries are relative to. */
  readonly address: bigint;
  /** Where `.eh_frame` begins. */
  readonly frames: bigint;
  /** Pairs of words: where a function begins, and where its FDE lies. None where the linker made no table. */
  readonly entries: DataView;
}

/** @throws Unreadable */
export function frameTable(read: ReadMemory, address: bigint): FrameTable {
  const header = new Cursor(read(address, 24), address);
  const version = header.u8();
  if (version !== 1) throw new Unreadable(`.eh_frame_hdr of version ${version}`);
  const [frames, count, table] = [header.u8(), header.u8(), header.u8()];
  const framesAt = pointerIn(header, frames, address);
  if (count === Encoding.OMITTED || table !== TABLE_ENCODING) return { address, frames: framesAt, entries: noEntries };
  const bytes = pointerIn(header, count, address) * BigInt(ENTRY_BYTES);
  if (bytes > BigInt(TABLE_BYTES)) throw new Unreadable(`.eh_frame_hdr with ${bytes} bytes`);
  const { buffer, byteOffset, byteLength } = read(header.here, Number(bytes));
  return { address, frames: framesAt, entries: new DataView(buffer, byteOffset, byteLength) };
}

const noEntries = new DataView(new ArrayBuffer(0));

/** The function at an address, by the table. @throws Unreadable */
export function fdeByTable(read: ReadMemory, { address: base, entries }: FrameTable, address: bigint): Fde | undefined {
  const startOf = (index: number) => wrapped(base + BigInt(entries.getInt32(index * ENTRY_BYTES, true)));
  let [low, high] = [0, entries.byteLength / ENTRY_BYTES];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (startOf(middle) <= address) low = middle + 1;
    else high = middle;
  }
  if (low === 0) return undefined;
  const fdeAt = wrapped(base + BigInt(entries.getInt32((low - 1) * ENTRY_BYTES + 4, true)));
  const record = recordAt(read, fdeAt);
  if (record === undefined || record.cie === 0n) throw new Unreadable("a table of functions that leads to none");
  const fde = fdeIn(record, cieAt(read, record.cie));
  return fde.start <= address && address < fde.end ? fde : undefined;
}

/** The table of an `.eh_frame` that has none, made as a linker would have. @throws Unreadable */
export function tableOf(frames: Uint8Array, address: bigint): FrameTable {
  const read = readIn(frames, address);
  const pairs = [...fdesOf(read, address, address + BigInt(frames.length))].map((fde) => [fde.start, fde.address]);
  pairs.sort(([one = 0n], [other = 0n]) => (one < other ? -1 : one > other ? 1 : 0));
  const words = Int32Array.from(pairs.flat(), (place) => {
    const distance = BigInt.asIntN(64, place - address);
    if (distance !== BigInt.asIntN(32, distance))
      throw new Unreadable("functions that are 2 GiB away from their .eh_frame");
    return Number(distance);
  });
  return { address, frames: address, entries: new DataView(words.buffer) };
}

/** Reads what has been read already. */
export function readIn(bytes: Uint8Array, start: bigint): ReadMemory {
  return (address, length) => {
    const at = wrapped(address - start);
    if (at + BigInt(length) > BigInt(bytes.length)) throw new Unreadable("behind the end of .eh_frame");
    return bytes.subarray(Number(at), Number(at) + length);
  };
}

/** All functions of an `.eh_frame`, which ends at a length of 0 or at `end`. @throws Unreadable */
export function* fdesOf(read: ReadMemory, start: bigint, end: bigint): Generator<Fde> {
  const cies = new Map<bigint, Cie>();
  for (let at = start; at < end; ) {
    const record = recordAt(read, at);
    if (record === undefined) return;
    at = record.end;
    if (record.cie === 0n) continue;
    const cie = cies.get(record.cie) ?? cieAt(read, record.cie);
    cies.set(record.cie, cie);
    yield fdeIn(record, cie);
  }
}

interface FrameRecord {
  readonly address: bigint;
  /** Where its CIE lies; 0n where it is one itself. */
  readonly cie: bigint;
  readonly rest: Cursor;
  readonly end: bigint;
}

/** `undefined`: the end of `.eh_frame`. */
function recordAt(read: ReadMemory, address: bigint): FrameRecord | undefined {
  const short = new Cursor(read(address, 4)).u32();
  if (short === 0) return undefined;
  const isLong = short === 0xffff_ffff;
  const begin = wrapped(address + (isLong ? 12n : 4n));
  const length = isLong ? new Cursor(read(wrapped(address + 4n), 8)).u64() : BigInt(short);
  if (length > BigInt(RECORD_BYTES) || length < 4n)
    throw new Unreadable(`.eh_frame with ${length} bytes of one function`);
  const rest = new Cursor(read(begin, Number(length)), begin);
  const distance = rest.u32();
  return { address, cie: distance === 0 ? 0n : wrapped(begin - BigInt(distance)), rest, end: begin + length };
}

function cieAt(read: ReadMemory, address: bigint): Cie {
  const record = recordAt(read, address);
  if (record === undefined || record.cie !== 0n)
    throw new Unreadable("a function without what it has in common with others");
  const { rest } = record;
  const version = rest.u8();
  if (version !== 1 && version !== 3) throw new Unreadable(`.eh_frame of version ${version}`);
  const augmentation = rest.text();
  if (augmentation !== "" && !augmentation.startsWith("z"))
    throw new Unreadable(`.eh_frame with augmentation ${JSON.stringify(augmentation.slice(0, 16))}`);
  const codeAlignment = rest.uleb();
  const dataAlignment = rest.sleb();
  const returnAddress = version === 1 ? rest.u8() : rest.count(128);
  const hasData = augmentation !== "";
  const { encoding, isSignal } = hasData ? dataOf(rest, augmentation) : { encoding: 0, isSignal: false };
  return {
    codeAlignment,
    dataAlignment,
    returnAddress,
    isSignal,
    instructions: rest.bytes.subarray(rest.at),
    pointer: (cursor) => pointerIn(cursor, encoding),
    hasData,
    encoding,
  };
}

/** What the letters of an augmentation say. One that is not known ends them: what follows has a length. */
function dataOf(rest: Cursor, augmentation: string): { readonly encoding: number; readonly isSignal: boolean } {
  const end = rest.count(RECORD_BYTES) + rest.at;
  let [encoding, isSignal] = [0, false];
  letters: for (const letter of augmentation.slice(1)) {
    switch (letter) {
      case "R":
        encoding = rest.u8();
        break;
      case "L":
        rest.skip(1);
        break;
      case "P":
        pointerIn(rest, rest.u8() & ~Encoding.INDIRECT);
        break;
      case "S":
        isSignal = true;
        break;
      default:
        break letters;
    }
  }
  rest.skip(end - rest.at);
  return { encoding, isSignal };
}

function fdeIn({ address, rest }: FrameRecord, cie: Cie): Fde {
  const start = cie.pointer(rest);
  // A length is no place: of its encoding the format counts alone.
  const end = start + pointerIn(rest, cie.encoding & Encoding.FORMAT);
  if (cie.hasData) rest.skip(rest.count(RECORD_BYTES));
  return { cie, address, start, end, instructions: rest.bytes.subarray(rest.at) };
}

function pointerIn(cursor: Cursor, encoding: number, data?: bigint): bigint {
  const { here } = cursor;
  if ((encoding & Encoding.INDIRECT) !== 0) throw new Unreadable(`a pointer of encoding 0x${encoding.toString(16)}`);
  const value = formatted(cursor, encoding & Encoding.FORMAT);
  switch (encoding & Encoding.APPLICATION) {
    case 0:
      return wrapped(value);
    case Encoding.PC_RELATIVE:
      return wrapped(here + value);
    case Encoding.DATA_RELATIVE:
      if (data !== undefined) return wrapped(data + value);
  }
  throw new Unreadable(`a pointer of encoding 0x${encoding.toString(16)}`);
}

function formatted(cursor: Cursor, format: number): bigint {
  switch (format) {
    case 0x00:
    case 0x04:
      return cursor.u64();
    case 0x01:
      return cursor.uleb();
    case 0x02:
      return BigInt(cursor.u16());
    case 0x03:
      return BigInt(cursor.u32());
    case 0x09:
      return cursor.sleb();
    case 0x0a:
      return BigInt(cursor.i16());
    case 0x0b:
      return BigInt(cursor.i32());
    case 0x0c:
      return cursor.i64();
    default:
      throw new Unreadable(`a number of format ${format}`);
  }
}
