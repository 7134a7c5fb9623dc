/**
 * Random programs of the whole library on a software kernel that has bad days: windows and containers come and go, memory is
 * mapped, allocated, attached, given up, in right ways and wrong ones. After every step the kernel has what was promised.
 *
 *     DMA_WINDOW_PROGRAMS=20000     node --import tsx test/properties/programs.test.ts     more of them
 *     DMA_WINDOW_SEED=17            node --import tsx test/properties/programs.test.ts     others
 *     DMA_WINDOW_KIND=type1-4096    node --import tsx test/properties/programs.test.ts     on one kind of machine alone
 *
 * A program that fails is reported with its seed and path: with both of them in the environment that very program runs again.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Outcomes } from "./program.ts";
import { failureOf, findFailure, programAt, report } from "./search.ts";
import { type Kind, nameOfKind } from "./world.ts";

const all: readonly Kind[] = [
  { platform: "powernv", pageSize: 4096 },
  { platform: "powernv", pageSize: 65536 },
  { platform: "pseries", pageSize: 4096 },
  { platform: "pseries", pageSize: 65536 },
  { platform: "type1", pageSize: 4096 },
  { platform: "type1", pageSize: 65536 },
  { platform: "noiommu", pageSize: 4096 },
];

const { DMA_WINDOW_SEED, DMA_WINDOW_PATH, DMA_WINDOW_KIND, DMA_WINDOW_PROGRAMS } = process.env;
const seed = Number(DMA_WINDOW_SEED ?? 1);
const each = Math.ceil(Number(DMA_WINDOW_PROGRAMS ?? 2004) / all.length);
const kinds = all.filter((kind) => DMA_WINDOW_KIND === undefined || nameOfKind(kind) === DMA_WINDOW_KIND);
if (kinds.length === 0) throw new Error(`DMA_WINDOW_KIND is one of ${all.map(nameOfKind).join(", ")}`);

/** What must have come of some of the steps, or the programs have not been what they are meant to be. */
const ways = {
  all: [
    ...["map: done", "map: ERR_ALREADY_LIVE", "map: ERR_OUTSIDE_WINDOW", "map: ERR_UNALIGNED_VA"],
    ...["map: ERR_RESERVED", "unmap: done", "unmap: ERR_NOT_LIVE", "unmap: ERR_VA_MISMATCH", "unmap: ERR_WRAPS"],
    ...["allocate: done", "allocate: ERR_KERNEL", "free: done", "add: done", "remove: done"],
    ...["add a list: done", "add a list: ERR_KERNEL", "remove a list: done"],
    ...["attach: done", "detach: done", "device: done", "create a window: done", "close a window: done"],
    ...["open a container: done", "close a container: done", "close a container: ERR_CLOSE", "close a table: done"],
  ],
  iommu: [
    ...["map: ERR_KERNEL", "map: ERR_VA_ALREADY_MAPPED", "map: ERR_WRAPS", "map: ERR_NO_HOLE"],
    ...["unmap: ERR_KERNEL with residue", "attach: ERR_KERNEL"],
    ...["attach: ERR_NO_HOLE", "close a window: ERR_WINDOW_IN_USE with residue"],
  ],
  spapr: [
    ...["map: ERR_KERNEL with residue", "map: ERR_PINNED_PARTLY", "map: ERR_PARTLY_REGISTERED"],
    ...["unmap: ERR_STILL_REGISTERED with residue", "free: ERR_STILL_REGISTERED with residue"],
    ...["create a window: ERR_KERNEL with residue", "close a window: ERR_KERNEL with residue"],
  ],
  bare: [
    ...["map: ERR_PHYSICAL_MISMATCH", "map: ERR_NOT_CONTIGUOUS", "map: ERR_PHYSICAL_UNKNOWN"],
    ...["map: ERR_PAGE_NOT_PRESENT", "allocate: ERR_PHYSICAL_UNKNOWN", "allocate: ERR_OUTSIDE_WINDOW"],
    ...["attach: ERR_PHYSICAL_MISMATCH", "attach: ERR_PHYSICAL_UNKNOWN", "attach: ERR_OUTSIDE_WINDOW"],
    ...["create a window: ERR_WINDOW_OVERLAPS", "create a window: ERR_PLAN_MISFIT", "free: ERR_KERNEL with residue"],
  ],
} as const;

function waysOf({ platform }: Kind): readonly string[] {
  if (platform === "noiommu") return [...ways.all, ...ways.bare];
  return platform === "type1" ? [...ways.all, ...ways.iommu] : [...ways.all, ...ways.iommu, ...ways.spapr];
}

for (const kind of kinds) {
  if (DMA_WINDOW_PATH !== undefined) {
    test(`${nameOfKind(kind)}: the program of seed ${seed}, path ${DMA_WINDOW_PATH} does not fail`, () => {
      const program = programAt(seed, DMA_WINDOW_PATH);
      const failure = failureOf(kind, program);
      if (failure) report({ kind, seed, path: DMA_WINDOW_PATH, program, failure, steps: program.length });
    });
    continue;
  }
  test(`${nameOfKind(kind)}: after every step of a random program the kernel has what was promised`, () => {
    const outcomes: Outcomes = new Map();
    const found = findFailure(kind, { seed, runs: each, outcomes });
    if (found) report(found);
    if (each < 280) return;
    const seldom = waysOf(kind).filter((way) => !outcomes.has(way));
    assert.equal(seldom, [], `never happened among ${JSON.stringify([...outcomes].sort())}`);
  });
}

test.run();
