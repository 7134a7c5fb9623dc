/** xorshift32: whole numbers from 0 to `below` - 1, the same on every run. */
export function seeded(seed: number): (below: number) => number {
  let state = (Math.imul(seed >>> 0, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}
