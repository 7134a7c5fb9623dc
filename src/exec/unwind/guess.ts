import { type ReadMemory, wrapped } from "./cursor.ts";
import { Register, type Registers } from "./frame.ts";
import { calledFrom, frameBytes, isBehindCall } from "./return-address.ts";
import { wordAt } from "./rules.ts";

/** More than that of a stack is not looked at. */
const SCANNED = 1n << 16n;

export interface GuessWorld {
  readonly read: ReadMemory;
  readonly isCode: (address: bigint) => boolean;
}

/** What is known of the function whose caller is looked for. */
export interface Callee {
  readonly registers: Registers;
  /** Where its code begins. */
  readonly start: bigint | undefined;
  /** Whether it has a frame pointer, which nobody has saved: then it lies in front of the return address, saved. */
  readonly hasFramePointer: boolean;
}

/**
 * Where on the stack a function's return address likely lies. In this order: where its frame ends by how the function begins; where a
 * frame pointer of unknown code leads; the first one behind a call of this very function; the first one behind any call.
 */
export function guessReturnSlot(world: GuessWorld, { registers, start, hasFramePointer }: Callee): bigint | undefined {
  const { read } = world;
  const stack = registers.get(Register.RSP);
  if (stack === undefined) return undefined;
  if (start !== undefined && hasFramePointer) {
    const bytes = frameBytes(read, start);
    const slot = wrapped(stack + (bytes ?? 0n) + 8n);
    if (bytes !== undefined && isReturn(world, slot)) return slot;
  }
  const pointer = registers.get(Register.RBP);
  if (start === undefined && pointer !== undefined && pointer >= stack && isReturn(world, wrapped(pointer + 8n)))
    return wrapped(pointer + 8n);
  let first: bigint | undefined;
  for (let slot = stack; slot < stack + SCANNED; slot += 8n) {
    const address = wordAt(read, slot);
    if (address === undefined) break; // the stack ends
    if (!isReturnAddress(world, address)) continue;
    // A call's stack is a multiple of 16, before the return address is on it. (AMD64 supplement, 3.2.2)
    if (start === undefined) return slot;
    if (slot % 16n !== 8n) continue;
    if (calledFrom(read, address) === start) return slot;
    first ??= slot;
  }
  return first;
}

function isReturn(world: GuessWorld, slot: bigint): boolean {
  const address = wordAt(world.read, slot);
  return address !== undefined && isReturnAddress(world, address);
}

function isReturnAddress({ read, isCode }: GuessWorld, address: bigint): boolean {
  return isCode(address) && isBehindCall(read, address);
}
