/** Batches on which a kernel interface breaks off, on every machine, and what has to be so afterwards. */
import * as assert from "uvu/assert";
import type { Window } from "../../src/container/window.ts";
import type { ModelOptions } from "../../src/model/index.ts";
import { agreed } from "../support/agreement.ts";
import type { Program } from "../support/program.ts";

export const PAGE = 4096n;

interface Machine {
  readonly name: string;
  readonly options: ModelOptions;
  /** What a batch of three maps takes: REGISTER and MAP for each, or MAP alone. */
  readonly calls: number;
}

export const machines: readonly Machine[] = [
  { name: "PowerNV", options: { platform: "powernv" }, calls: 6 },
  { name: "an LPAR", options: { platform: "pseries", pageSize: 4096 }, calls: 6 },
  { name: "type1 v2", options: { platform: "type1" }, calls: 3 },
  { name: "type1 v1", options: { platform: "type1", iommuVersion: 1 }, calls: 3 },
];

/** Three requests of two pages, each apart from the others. */
export const batchAt = (va: bigint) => [0n, 8n, 16n].map((page) => ({ va: va + page * PAGE, length: 2n * PAGE }));

/** Maps the batch; gives what unmaps it. */
export function mapBatch(window: Window, va: bigint) {
  return window.mapMany(batchAt(va)).map((iova) => ({ iova, length: 2n * PAGE }));
}

/** Closes the container: nothing of it is left in the kernel. */
export function leavesNothing(program: Program): void {
  program.container.close();
  assert.equal(program.model.leaks(), []);
}

/** What the tables keep can be unmapped, and then the device reaches nothing; the batch can be mapped again, and nothing is left. */
export function mends(program: Program, window: Window, va: bigint): void {
  for (const run of [...window.maps()]) window.unmap(run);
  assert.equal(program.model.live(program.group), []);
  // What may have been registered is asked for once more, and then used again.
  window.mapMany(batchAt(va));
  agreed(program, window);
  leavesNothing(program);
}
