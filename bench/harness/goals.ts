/** What is aimed at, and the rows that say whether it was reached. */

import { allocationGoals } from "./allocation-goals.ts";
import { deviceGoals } from "./device-goals.ts";
import { each, type Goal } from "./goal.ts";

/** One row of the answer. `ratio` is `ours / rival`; `met` says whether that is at most `goal`. */
export interface Row {
  readonly name: string;
  readonly ours: number;
  readonly rival: number;
  readonly rivalName: string;
  readonly ratio: number;
  readonly unit: string;
  readonly goal: number;
  readonly met: boolean;
}

/** By the row's name. A goal that has no rival is one of bytes or milliseconds: its rival is one of them. */
export const goals = {
  "translate-batch-64k-vs-c": {
    goal: 1.1,
    unit: each("address"),
    about: "VA to IOVA through a window, 64k memsegs, random addresses; C on the same radix",
  },
  "translate-batch-1m-vs-c": { goal: 1.2, unit: each("address"), about: "the same with 1M memsegs" },
  "translate-table-1m-vs-c": {
    goal: 1.2,
    unit: each("address"),
    about: "VA to IOVA as 1M memsegs of a table state it, random addresses; C on the same tables",
  },
  "translate-batch-64lists-vs-dpdk": {
    goal: 0.1,
    unit: each("address"),
    about:
      "VA to IOVA through a window, 64k memsegs in 64 lists; `rte_mem_virt2memseg` with 64 external lists, and the IOVA from there",
  },
  "translate-batch-fewlists-vs-dpdk": { goal: 0.35, unit: each("address"), about: "the same with 8 lists" },
  "translate-pa-vs-dpdk": {
    goal: 0.001,
    unit: each("address"),
    about:
      "VA to IOVA through a window, 64k memsegs; `rte_mem_virt2iova` with IOVA as PA, which reads `/proc/self/pagemap`",
  },
  "check-batch-64k-vs-c-native": {
    goal: 2,
    unit: each("request"),
    about: "64k requests held against a window, and the TCE of each; C for this very processor",
  },
  "check-batch-64k-vs-c-x86-64-v2": { goal: 1, unit: each("request"), about: "the same; C for any x86-64 since 2009" },
  "check-batch-64k-bun-vs-node": {
    goal: 1.5,
    unit: each("request"),
    about: "64k requests held against a window by the core in Bun, whose engine is JavaScriptCore; in this Node",
  },
  "check-single-vs-js-number": {
    goal: 2.5,
    unit: each("call"),
    about:
      "`window.contains(iova, length)` with numbers; a comparison of numbers in JavaScript that checks no argument",
  },
  "check-single-bytes": { goal: 0, unit: "bytes of garbage per call", about: "the garbage of that call" },
  "offset-single-vs-translate": {
    goal: 0.2,
    unit: each("address"),
    about: "an address plus `window.iovaOffset(list)`, as numbers; `window.translate` with a number",
  },
  "offset-batch-vs-translate": {
    goal: 1,
    unit: each("address"),
    about: "the same addition over BigUint64Arrays; `window.translateInto` on rows of `window.requests`, 4096 memsegs",
  },
  "walk-max-1m-vs-c": {
    goal: 1.2,
    unit: each("memseg"),
    about: "the highest last address of 1M memsegs; C on the same columns",
  },
  "walk-1m-vs-dpdk": {
    goal: 0.07,
    unit: each("memseg"),
    about: "the same; `rte_memseg_walk` with a callback that does it",
  },
  "first-free-vs-c": {
    goal: 1,
    unit: each("64 TCEs passed over"),
    about: "first fit behind 1M TCEs that are taken; C on the same bitmaps",
  },
  "batch-vs-js-bigint": {
    goal: 0.05,
    unit: each("request"),
    about:
      "64k requests held against a window; JavaScript with bigints in BigUint64Arrays, exact for every u64 as ours is",
  },
  "shim-batch-vs-c": {
    goal: 1.05,
    unit: each("ioctl"),
    about: "1024 ioctls in one `ioctlBatch`; the same loop in C",
  },
  "map-keys-vs-unchecked": {
    goal: 1.15,
    unit: each("map and unmap"),
    about:
      "`mapMany` and `unmapMany` of 16 on the software kernel; the same, less what it takes to look for misspelt keys",
  },
  "list-add-100k-vs-100": {
    goal: 15,
    unit: each("call"),
    about: "`addList` and `removeList` beside 100,000 lists; beside 100",
  },
  "remove-100k-vs-100": { goal: 4, unit: each("call"), about: "`remove` and `add` of a memseg, likewise" },
  ...deviceGoals,
  ...allocationGoals,
  "core-bytes": { goal: 16384, unit: "bytes", about: "the size of `core.wasm`" },
  "core-start-ms": { goal: 1, unit: "ms", about: "from bytes to a core that answers" },
} as const satisfies Readonly<Record<string, Goal>>;

export type RowName = keyof typeof goals;

export const rowNames = Object.keys(goals) as readonly RowName[];

/** What a row is to stay below even where its goal is not met; nothing where the goal is that. */
export function floorOf(name: string): number | undefined {
  const { floor }: Goal = isRowName(name) ? goals[name] : { goal: 0, unit: "", about: "" };
  return floor;
}

export function isRowName(name: string): name is RowName {
  return name in goals;
}

/** A row; both figures in the row's unit. */
export function row(name: RowName, ours: number, rival: number, rivalName: string): Row {
  const { goal, unit } = goals[name];
  const ratio = ours / rival;
  return { name, ours, rival, rivalName, ratio, unit, goal, met: ratio <= goal };
}

/** A row of a figure that stands for itself: it is compared with one of its unit, so its ratio is the figure. */
export function plainRow(name: RowName, ours: number): Row {
  return row(name, ours, 1, `one ${goals[name].unit.replace(/^(byte|failure)s/, "$1")}`);
}
