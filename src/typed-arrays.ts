/**
 * Typed arrays and buffers, told by what they are: `instanceof` knows the classes of its own realm alone, and a context of
 * node:vm, a frame or a test runner has others. No code of a program runs when it is asked, whatever the object's class or own
 * properties say.
 */

const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const nameOf = Object.getOwnPropertyDescriptor(typedArray, Symbol.toStringTag)?.get as (this: unknown) => unknown;
const lengthOfBuffer = Object.getOwnPropertyDescriptor(ArrayBuffer.prototype, "byteLength")?.get as (
  this: unknown,
) => number;

/** `Uint8Array` for one, and for a Buffer; `undefined` for all that is no typed array. */
export function kindOf(value: unknown): unknown {
  return nameOf.call(value);
}

/** Whether it is a Uint8Array, a Buffer included. Quick for those of this realm. */
export function isBytes(value: unknown): value is Uint8Array {
  return value instanceof Uint8Array || kindOf(value) === "Uint8Array";
}

/** Whether it is an ArrayBuffer: a SharedArrayBuffer is none. */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  try {
    lengthOfBuffer.call(value);
    return true;
  } catch {
    return false; // a TypeError
  }
}
