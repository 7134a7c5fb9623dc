/** Bytes of a module that V8 has not seen: it keeps compiled modules and knows their bytes again. */
let made = 0;

/** The module's own bytes, and a section behind them that means nothing: 0, length, length of its name, its name. */
export function fresh(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const name = Buffer.from(`bench ${made++}`);
  return Buffer.concat([bytes, Uint8Array.from([0, name.length + 1, name.length, ...name])]);
}
