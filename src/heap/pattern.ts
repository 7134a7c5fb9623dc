/** Memory that nobody has looks so, in a heap with `guard`: whoever writes to it is found out. */
import { DmaWindowError } from "../errors.ts";
import type { Shown } from "./shown.ts";

/** No instruction, no ASCII, and as a pointer to nowhere. */
export const PATTERN = 0xdb;

/** So much is copied at a time where an engine has no arrays over memory. */
const PART = 65536;

/** Fills memory of the heap. */
export function fill(memory: Shown, va: bigint, length: number, value: number): void {
  if (length === 0) return;
  const shown = shownBy(memory, va, length);
  if (shown !== undefined) {
    shown.fill(value);
    return;
  }
  const part = new Uint8Array(Math.min(length, PART)).fill(value);
  for (let done = 0; done < length; done += PART) {
    memory.write(va + BigInt(done), part.subarray(0, Math.min(PART, length - done)));
  }
}

/** How many bytes from `va` on have the pattern: `length`, when all do. */
export function intact(memory: Shown, va: bigint, length: number): number {
  if (length === 0) return 0;
  const shown = shownBy(memory, va, length);
  if (shown !== undefined) return intactIn(shown);
  const part = new Uint8Array(Math.min(length, PART));
  for (let done = 0; done < length; done += PART) {
    const some = part.subarray(0, Math.min(PART, length - done));
    memory.read(va + BigInt(done), some);
    const good = intactIn(some);
    if (good < some.length) return done + good;
  }
  return length;
}

function intactIn(bytes: Uint8Array): number {
  let at = 0;
  // Words where they are whole, as almost all memory is.
  const head = Math.min((8 - (bytes.byteOffset % 8)) % 8, bytes.length);
  while (at < head) if (bytes[at++] !== PATTERN) return at - 1;
  const words = new Float64Array(bytes.buffer, bytes.byteOffset + head, (bytes.length - head) >> 3);
  const wanted = new Float64Array(new Uint8Array(8).fill(PATTERN).buffer)[0];
  let word = 0;
  while (word < words.length && words[word] === wanted) word++;
  for (at = head + word * 8; at < bytes.length; at++) if (bytes[at] !== PATTERN) return at;
  return bytes.length;
}

function shownBy(memory: Shown, va: bigint, length: number): Uint8Array | undefined {
  try {
    return memory.show(va, length);
  } catch (error) {
    const code = error instanceof DmaWindowError ? error.code : undefined;
    if (code === "ERR_NO_EXTERNAL_BUFFERS") return undefined;
    throw error;
  }
}
