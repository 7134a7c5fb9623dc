/** Bytes of a file or a memory that are not what they should be, or not there: nobody here wrote them. */
export class Unreadable extends Error {
  constructor(why: string) {
    super(why);
    this.name = "Unreadable";
  }
}

/** Reads `length` bytes at an address, all of them. @throws Unreadable where they are not there. */
export type ReadMemory = (address: bigint, length: number) => Uint8Array;

/** Of an LEB128 number of 64 bits; one that is longer is refused, also if it has zeroes for nothing. */
const LEB_BYTES = 10;

/**
 * Reads numbers one behind the other, little-endian, as DWARF and ELF of x86-64 have them. Addresses are u64 and wrap, as the
 * machine's do.
 *
 * All of its methods throw Unreadable where the bytes end.
 */
export class Cursor {
  readonly bytes: Uint8Array;
  /** Of the first byte. */
  readonly address: bigint;
  at = 0;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, address = 0n) {
    this.bytes = bytes;
    this.address = address;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** The address of the next byte. */
  get here(): bigint {
    return wrapped(this.address + BigInt(this.at));
  }

  /** @throws Unreadable also for a negative length. */
  skip(length: number): void {
    this.#take(length);
  }

  take(length: number): Uint8Array {
    const at = this.#take(length);
    return this.bytes.subarray(at, at + length);
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  u64(): bigint {
    return this.#view.getBigUint64(this.#take(8), true);
  }

  i8(): number {
    return this.#view.getInt8(this.#take(1));
  }

  i16(): number {
    return this.#view.getInt16(this.#take(2), true);
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  i64(): bigint {
    return this.#view.getBigInt64(this.#take(8), true);
  }

  uleb(): bigint {
    return BigInt.asUintN(64, this.#leb().value);
  }

  sleb(): bigint {
    const { value, bits } = this.#leb();
    return BigInt.asIntN(64, BigInt.asIntN(bits, value));
  }

  /** An unsigned LEB128 that counts something of which there are fewer than `limit`. */
  count(limit: number): number {
    const value = this.uleb();
    if (value >= BigInt(limit)) throw new Unreadable(`${value} where less than ${limit} was expected`);
    return Number(value);
  }

  /** As many bytes as an unsigned LEB128 in front of them says. */
  block(): Uint8Array {
    return this.take(this.count(this.bytes.length + 1));
  }

  /** Text up to a zero byte. */
  text(): string {
    const end = this.bytes.indexOf(0, this.at);
    if (end === -1) throw new Unreadable("text without an end");
    const text = new TextDecoder("latin1").decode(this.take(end - this.at));
    this.skip(1);
    return text;
  }

  #leb(): { readonly value: bigint; readonly bits: number } {
    let value = 0n;
    for (let bits = 0; bits < 7 * LEB_BYTES; bits += 7) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << BigInt(bits);
      if (byte < 0x80) return { value, bits: bits + 7 };
    }
    throw new Unreadable("a number of more than 64 bits");
  }

  #take(length: number): number {
    const { at } = this;
    if (length < 0 || at + length > this.bytes.length)
      throw new Unreadable(`${length} bytes at ${at} of ${this.bytes.length}`);
    this.at = at + length;
    return at;
  }
}

/** As 64 bits hold it. */
export function wrapped(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}
