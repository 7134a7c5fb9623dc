// What the core answers to values where 64-bit arithmetic goes wrong, as one text.
import { core, coreBuild } from "dma-window/core";

const edges = [
  0n,
  1n,
  4095n,
  4096n,
  4097n,
  1n << 31n,
  1n << 32n,
  1n << 53n,
  (1n << 59n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];
const said = [coreBuild, core.usesSimd()];
for (const a of edges) {
  if (a !== 0n) said.push(core.log2Floor(a), core.log2Ceil(a), core.powerOfTwoAtLeast(a));
  said.push(core.isPowerOfTwo(a), core.trailingZeros(a), core.alignUp(a, 12));
  for (const b of edges) said.push(core.isRange(a, b), core.rangeContains(a, b, b, a), core.rangesOverlap(a, b, b, a));
}

const container = core.containerOpen(12, 7);
const window = core.windowOpen(container, 1n << 59n, 1n << 40n, 16);
const count = 1000;
const [iovas, lengths, indexes] = [0, 1, 2].map(() => core.acquireBytes(count * 8));
core.u64(iovas, count).forEach((_, i, all) => {
  all[i] = (1n << 59n) + BigInt(i) * 0x7_1234_5678n - 4096n;
});
core.u64(lengths, count).forEach((_, i, all) => {
  all[i] = edges[i % edges.length];
});
said.push(core.windowCheckMany(window, iovas, lengths, indexes, count), ...core.u64(indexes, count));
console.log(said.join(" "));
