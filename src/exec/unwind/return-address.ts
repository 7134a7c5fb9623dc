import { Cursor, type ReadMemory, Unreadable, wrapped } from "./cursor.ts";

/** What stands in front of a return address is a call; of x86-64 the longest has seven bytes. */
const LONGEST_CALL = 7;

/** Whether the bytes end with a call of x86-64. */
export function isCall(bytes: Uint8Array): boolean {
  const end = bytes.length;
  // CALL rel32
  if (bytes[end - 5] === 0xe8) return true;
  // CALL r/m64, by how long its operand is: register, memory, a byte or four of displacement, with or without a second byte of the operand.
  return [2, 3, 4, 6, 7].some((length) => {
    const operand = bytes[end - length + 1] ?? 0;
    if (bytes[end - length] !== 0xff || ((operand >> 3) & 7) !== 2) return false;
    const [kind, base] = [operand >> 6, operand & 7];
    const more = base === 4 && kind !== 3 ? 1 : 0;
    const displacement = kind === 1 ? 1 : kind === 2 || (kind === 0 && base === 5) ? 4 : 0;
    return length === 2 + more + displacement;
  });
}

export function isBehindCall(read: ReadMemory, address: bigint): boolean {
  try {
    return isCall(read(wrapped(address - BigInt(LONGEST_CALL)), LONGEST_CALL));
  } catch (error) {
    if (error instanceof Unreadable) return false;
    throw error;
  }
}

/** Where the call in front of a return address leads, where its bytes say that: through a table of a library's functions too. */
export function calledFrom(read: ReadMemory, address: bigint): bigint | undefined {
  try {
    const bytes = read(wrapped(address - 6n), 6);
    const distance = new Cursor(bytes.subarray(2)).i32();
    const there = wrapped(address + BigInt(distance));
    // CALL *rel32(%rip)
    if (bytes[0] === 0xff && bytes[1] === 0x15) return new Cursor(read(there, 8)).u64();
    return bytes[1] === 0xe8 ? throughStub(read, there) : undefined;
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

/** A stub of a linker's is JMP *rel32(%rip), behind ENDBR64 or with a prefix (BND) where it has them. */
function throughStub(read: ReadMemory, address: bigint): bigint {
  const code = new Cursor(read(address, 12), address);
  if (code.u32() !== 0xfa1e0ff3) code.at = 0;
  if (code.u8() !== 0xf2) code.at--;
  if (code.u16() !== 0x25ff) return address;
  const distance = code.i32();
  return new Cursor(read(wrapped(code.here + BigInt(distance)), 8)).u64();
}

/**
 * How many bytes of the stack a function has below its frame pointer, by how it begins: PUSH %rbp; MOV %rsp,%rbp; PUSH of others;
 * SUB $n,%rsp, as compilers write it. `undefined`: it begins otherwise. What it takes later, as by alloca, is not seen.
 */
export function frameBytes(read: ReadMemory, start: bigint): bigint | undefined {
  try {
    const code = new Cursor(read(start, 32));
    if (code.u32() !== 0xfa1e0ff3) code.at = 0; // ENDBR64
    if (code.u8() !== 0x55) return undefined;
    const move = [code.u8(), code.u8(), code.u8()].join();
    if (move !== "72,137,229" && move !== "72,139,236") return undefined; // 48 89 e5, 48 8b ec
    let pushed = 0n;
    for (;;) {
      const byte = code.u8();
      if (byte === 0x53)
        pushed += 8n; // PUSH %rbx
      else if (byte === 0x41 && (code.u8() & 0xfc) === 0x54)
        pushed += 8n; // PUSH %r12 to %r15
      else if (byte === 0x48) return pushed + subtracted(code);
      else return pushed;
    }
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

function subtracted(code: Cursor): bigint {
  switch (code.u16()) {
    case 0xec83:
      return BigInt(code.i8());
    case 0xec81:
      return BigInt(code.i32());
    default:
      return 0n;
  }
}
