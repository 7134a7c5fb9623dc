/**
 * Typed arrays and buffers, told by what they are: `instanceof` knows the classes of its own realm alone, and a context of
 * node:vm, a frame or a test runner has others.
 */
import { bufferLengthOf, kindOf } from "./captured.ts";

/** Whether it is a Uint8Array, a Buffer included. Quick for those of this realm. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || kindOf(value) === "Uint8Array";
}

/** Whether it is an ArrayBuffer: a SharedArrayBuffer is none. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  try {
    bufferLengthOf(value);
    return true;
  } catch {
    return false; // a TypeError
  }
}
