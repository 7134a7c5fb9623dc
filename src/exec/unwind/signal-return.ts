import { Cursor, type ReadMemory, Unreadable, wrapped } from "./cursor.ts";
import { type Frame, Register } from "./frame.ts";

/** MOV $15,%rax; SYSCALL: what a signal's handler returns to, in every C library and in Go. (`rt_sigreturn`) */
const RETURN = Uint8Array.of(0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05);

/** Where registers lie behind a handler's return address. (`struct ucontext` and `struct sigcontext` of `<asm/sigcontext.h>`) */
const CONTEXT = 40n;
const SAVED = [8, 9, 10, 11, 12, 13, 14, 15, 5, 4, 6, 3, 1, 0, 2, Register.RSP, Register.RETURN_ADDRESS];

/** What a signal interrupted, where a frame is the return of its handler and has no rules. @throws Unreadable */
export function interrupted(read: ReadMemory, { pc, registers, isGuess }: Frame): Frame | undefined {
  const stack = registers.get(Register.RSP);
  if (stack === undefined || !isReturn(read, pc)) return undefined;
  const context = new Cursor(read(wrapped(stack + CONTEXT), 8 * SAVED.length));
  const saved = new Map(SAVED.map((register) => [register, context.u64()]));
  const before = saved.get(Register.RETURN_ADDRESS) ?? 0n;
  saved.delete(Register.RETURN_ADDRESS);
  return { pc: before, at: before, registers: saved, isGuess };
}

function isReturn(read: ReadMemory, pc: bigint): boolean {
  try {
    return Buffer.compare(read(pc, RETURN.length), RETURN) === 0;
  } catch (error) {
    if (error instanceof Unreadable) return false;
    throw error;
  }
}
