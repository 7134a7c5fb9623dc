import { type Row, rowAt } from "./cfa.ts";
import { type ReadMemory, Unreadable, wrapped } from "./cursor.ts";
import type { Fde } from "./eh-frame.ts";
import { type Frame, Register } from "./frame.ts";
import { guessReturnSlot } from "./guess.ts";
import { callersRegisters, cfaOf, UnknownRegister, word, wordAt } from "./rules.ts";
import { interrupted } from "./signal-return.ts";

/** A thread's world at the moment that its frames are looked for in. */
export interface UnwindWorld {
  readonly read: ReadMemory;
  readonly isCode: (address: bigint) => boolean;
  /** What `.eh_frame` says of the code at an address; `undefined`: nothing. @throws Unreadable where it makes no sense. */
  readonly fdeAt: (address: bigint) => Fde | undefined;
}

export interface Unwound {
  /** Innermost first. */
  readonly frames: readonly Frame[];
  /** Why there are no more, where the last one is not the thread's first function. */
  readonly why: string | undefined;
}

/** What a guess takes for a frame pointer leads no further than that. */
const FRAME_BYTES = 1n << 20n;

type Caller = Frame | { readonly why: string | undefined };

/** The frames of a thread that waits in a system call, by its instruction and stack pointer; `most` of them. */
export function unwind(world: UnwindWorld, pc: bigint, stack: bigint, most: number): Unwound {
  // Before the instruction behind the call lies the call itself.
  let frame: Frame = { pc, at: wrapped(pc - 1n), registers: new Map([[Register.RSP, stack]]), isGuess: false };
  const frames = [frame];
  while (frames.length < most) {
    const caller = callerOf(world, frame);
    if ("why" in caller) return { frames, why: caller.why };
    frames.push(caller);
    frame = caller;
  }
  return { frames, why: "there are more" };
}

function callerOf(world: UnwindWorld, frame: Frame): Caller {
  let fde: Fde | undefined;
  let row: Row | undefined;
  try {
    fde = world.fdeAt(frame.at);
    row = fde === undefined ? undefined : rowAt(fde, frame.at);
    if (fde !== undefined && row?.cfa !== undefined)
      return byRules(world, frame, fde, row, cfaOf(row.cfa, frame.registers, world.read));
    const before = interrupted(world.read, frame);
    if (before !== undefined && world.isCode(before.pc)) return before;
    return guessed(world, frame, fde, undefined, `there is no .eh_frame for 0x${frame.at.toString(16)}`);
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error;
    return guessed(world, frame, fde, error instanceof UnknownRegister ? row : undefined, error.message);
  }
}

function byRules(world: UnwindWorld, frame: Frame, { cie }: Fde, row: Row, cfa: bigint): Caller {
  const { returnAddress, isSignal } = cie;
  const rule = row.rules.get(returnAddress);
  // So the first function of a thread says that nobody called it.
  if (rule?.kind === "undefined") return { why: undefined };
  const registers = callersRegisters(row, cfa, frame.registers, world.read);
  const pc = registers.get(returnAddress);
  registers.delete(returnAddress);
  if (pc === undefined) throw new Unreadable("the return address is not there");
  if (pc === 0n) return { why: undefined };
  if (!world.isCode(pc)) throw new Unreadable(`0x${pc.toString(16)} is no code`);
  // A signal may have a stack of its own; a caller's frame lies behind.
  if (!isSignal && cfa <= (frame.registers.get(Register.RSP) ?? 0n)) throw new Unreadable("a frame that leads inwards");
  return { pc, at: isSignal ? pc : wrapped(pc - 1n), registers, isGuess: frame.isGuess };
}

/** The caller by what lies on the stack; what the function's rules say of registers holds from there on, where there are any. */
function guessed(world: UnwindWorld, frame: Frame, fde: Fde | undefined, row: Row | undefined, why: string): Caller {
  const { registers } = frame;
  const { cfa } = row ?? {};
  const hasFramePointer = cfa?.kind === "register" && cfa.register === Register.RBP && cfa.offset === 16n;
  const slot = guessReturnSlot(world, { registers, start: fde?.start, hasFramePointer });
  if (slot === undefined) return { why };
  const pc = word(world.read, slot);
  const before = wrapped(slot + 8n);
  const found = row === undefined ? withoutRules(world, slot) : callersRegisters(row, before, registers, world.read);
  found.delete(Register.RETURN_ADDRESS);
  return { pc, at: wrapped(pc - 1n), registers: found, isGuess: true };
}

/** Code without rules may have saved a frame pointer in front of its return address, as Go's does. */
function withoutRules({ read }: UnwindWorld, slot: bigint): Map<number, bigint> {
  const found = new Map([[Register.RSP as number, wrapped(slot + 8n)]]);
  const saved = wordAt(read, wrapped(slot - 8n)) ?? 0n;
  if (saved > slot && saved < slot + FRAME_BYTES) found.set(Register.RBP, saved);
  return found;
}
