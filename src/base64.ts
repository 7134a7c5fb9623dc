const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/**
 * Base64 as `tools/build.mjs` writes it: no other character, "=" at the end. Done here since there is no function for it that
 * every engine has: a context of node:vm has neither Buffer nor atob.
 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const values = new Uint8Array(128);
  for (let i = 0; i < DIGITS.length; i++) values[DIGITS.charCodeAt(i)] = i;
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const digit = (at: number): number => values[text.charCodeAt(at)] as number;
  for (let from = 0, to = 0; from < text.length; from += 4, to += 3) {
    const three = (digit(from) << 18) | (digit(from + 1) << 12) | (digit(from + 2) << 6) | digit(from + 3);
    bytes[to] = three >> 16;
    bytes[to + 1] = three >> 8; // a typed array takes the low 8 bits, and nothing behind its end
    bytes[to + 2] = three;
  }
  return bytes;
}
