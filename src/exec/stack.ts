import { hex } from "../hex.ts";
import type { Supervision } from "../supervision.ts";
import { areasIn, type MemoryArea } from "./areas.ts";
import { procText } from "./proc.ts";

/** More than that of a stack is not looked at, and not shown. */
const STACK_BYTES = 16384;
const FRAMES_MAX = 12;
const LONGEST_CALL = 7;

/**
 * Where a thread is, innermost first: the instruction behind its system call, and what on its stack looks like a return address: it leads
 * into code, behind a call. Nothing is unwound, so a frame may stand there that was left by a call that is over.
 */
export function stackOf(native: Supervision, thread: number, instruction: bigint): readonly string[] {
  if (instruction === 0n) return [];
  const code = codeOf(thread);
  const frames = [shown(code, instruction)];
  const bytes = new Uint8Array(STACK_BYTES);
  const pointer = stackPointer(thread);
  const read = pointer === undefined ? 0 : native.execRead(thread, pointer, bytes);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at + 8 <= read && frames.length < FRAMES_MAX; at += 8) {
    const address = view.getBigUint64(at, true);
    if (areaAt(code, address) && isBehindCall(native, thread, address))
      frames.push(`${shown(code, address)} (by the stack)`);
  }
  return frames;
}

/** `/proc/TID/syscall` of a thread that waits in a call: its number, six arguments, stack pointer and instruction. */
function stackPointer(thread: number): bigint | undefined {
  const words = procText(`/proc/${thread}/syscall`).trim().split(" ");
  const pointer = words.at(-2);
  return words.length < 3 || pointer === undefined ? undefined : BigInt(pointer);
}

function codeOf(thread: number): readonly MemoryArea[] {
  return areasIn(procText(`/proc/${thread}/maps`)).filter(({ execute }) => execute);
}

function areaAt(code: readonly MemoryArea[], address: bigint): MemoryArea | undefined {
  return code.find(({ start, end }) => start <= address && address < end);
}

/** `libc.so.6 + 0xfdd6b`: the place in the file, as addr2line and objdump of most programs count. */
function shown(code: readonly MemoryArea[], address: bigint): string {
  const found = areaAt(code, address);
  if (found === undefined) return hex(address);
  return `${found.name || "memory without a file"} + ${hex(address - found.start + found.offset)}`;
}

function isBehindCall(native: Supervision, thread: number, address: bigint): boolean {
  const before = new Uint8Array(LONGEST_CALL);
  if (native.execRead(thread, address - BigInt(LONGEST_CALL), before) !== LONGEST_CALL) return false;
  return isCall(before);
}

/** Whether the bytes end with a call. Exported for its test. */
export function isCall(bytes: Uint8Array): boolean {
  const end = bytes.length;
  if (process.arch !== "x64") {
    const word = new DataView(bytes.buffer, bytes.byteOffset + end - 4, 4).getUint32(0, true);
    // arm64: BL, BLR. POWER: a branch that links, by its last bit, and those by the count register and the link register.
    if (process.arch === "arm64") return word >>> 26 === 0x25 || (word & 0xfffffc1f) >>> 0 === 0xd63f0000;
    return (word >>> 26 === 18 || word >>> 26 === 16 || word >>> 26 === 19) && (word & 1) === 1;
  }
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
