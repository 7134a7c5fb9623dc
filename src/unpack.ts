/**
 * What `tools/lz4.mjs` packed: the length of the bytes in four, and a block of LZ4. No engine has a function for it that answers at once, as
 * this has to; it takes less than a millisecond.
 *
 * @param before the bytes that it was packed behind
 */
export function unpack(packed: Uint8Array, before: Uint8Array = new Uint8Array()): Uint8Array<ArrayBuffer> {
  let from = 0;
  const next = (): number => packed[from++] as number;
  const length = next() | (next() << 8) | (next() << 16) | (next() << 24);
  const all = new Uint8Array(before.length + length);
  all.set(before);
  const lengthFrom = (half: number): number => {
    let sum = half;
    for (let byte = half === 15 ? 255 : 0; byte === 255; sum += byte) byte = next();
    return sum;
  };
  for (let to = before.length; ; ) {
    const token = next();
    for (let left = lengthFrom(token >> 4); left > 0; left--) all[to++] = next();
    if (from >= packed.length) return all.slice(before.length);
    const distance = next() | (next() << 8);
    // Byte by byte: a match may reach into what it makes.
    for (let left = lengthFrom(token & 15) + 4; left > 0; left--, to++) all[to] = all[to - distance] as number;
  }
}
