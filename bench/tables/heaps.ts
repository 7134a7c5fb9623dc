/** Heaps of ours under a workload: filled, timed, and looked at after each timing. */
import { inJavaScript, type Work } from "../harness/loop.ts";
import type { Contender } from "../harness/rounds.ts";
import type { Ours } from "./ours.ts";
import { type Swaps, swaps } from "./swaps.ts";
import { OPERATIONS, type Workload } from "./workload.ts";

/** More blocks than that are looked at once, at the end, as the rivals do. */
const CHECKED_EACH_TIME = 65536;

/** Sizes of the workloads are below that; offsets in a heap, times this, are exact. */
const SIZE_END = 2 ** 17;

/** Throws where two blocks overlap, one lies off its alignment, or one crosses a boundary. `align` and `boundary` are powers of two. */
export function checkBlocks(
  name: string,
  iovas: readonly bigint[],
  sizes: Uint32Array,
  { align = 64, boundary = 0 }: { readonly align?: number; readonly boundary?: number } = {},
): void {
  const base = iovas.reduce((least, iova) => (iova < least ? iova : least), iovas[0] ?? 0n);
  // What lies on a multiple of either here does so there.
  const origin = base - (base % BigInt(Math.max(align, boundary, 1)));
  const blocks = Float64Array.from(iovas, (iova, i) => Number(iova - origin) * SIZE_END + (sizes[i] as number)).sort();
  let end = 0;
  for (const block of blocks) {
    const start = Math.floor(block / SIZE_END);
    if (start < end) throw new Error(`${name}: two blocks overlap`);
    if (start % align !== 0) throw new Error(`${name}: a block lies off its alignment`);
    end = start + (block % SIZE_END);
    if (boundary > 0 && Math.floor(start / boundary) !== Math.floor((end - 1) / boundary)) {
      throw new Error(`${name}: a block crosses its boundary`);
    }
  }
}

export interface Filled {
  readonly contender: Contender;
  readonly work: Work;
  /** Looks at all blocks. */
  readonly check: () => void;
  readonly handles: Int32Array;
}

/** A heap of ours with the workload's blocks in it. */
export function filled(
  name: string,
  workload: Workload,
  ours: Ours,
  rules: { readonly align?: number; readonly boundary?: number } = {},
): Filled {
  const loop: Swaps = swaps(workload, ours.calls);
  workload.sizes.forEach((size, slot) => {
    const handle = ours.take(size);
    if (!(handle > 0)) throw new Error(`${name} has no room for the workload's blocks`);
    loop.handles[slot] = handle;
  });
  const check = (): void => checkBlocks(name, Array.from(loop.handles, ours.iovaOf), loop.catchUp(), rules);
  const work: Work = { name, once: loop.once, scope: loop.scope, expected: OPERATIONS };
  const verify = workload.live <= CHECKED_EACH_TIME ? check : () => {};
  return { contender: inJavaScript({ ...work, verify }), work, check, handles: loop.handles };
}
