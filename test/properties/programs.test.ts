/**
 * Random programs of the whole library on a software kernel that has bad days: windows and containers come and go, memory is
 * mapped, allocated, attached, given up, in right ways and wrong ones. After every step the kernel has what was promised.
 *
 * The programs are rows of numbers that each step reads as it goes, and the search for the shortest failing one is ours:
 * there is no state to generate from, so no command has to be made, checked and replayed, and rows can be left out freely.
 *
 *     DMA_WINDOW_PROGRAMS=20000 node --import tsx test/properties/programs.test.ts     more of them
 *     DMA_WINDOW_SEED=17        node --import tsx test/properties/programs.test.ts     others
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { randomProgram } from "./choices.ts";
import { type Outcomes, report, runProgram } from "./program.ts";
import { type Kind, World } from "./world.ts";

const MOST_STEPS = 200;

const kinds: readonly Kind[] = [
  { platform: "powernv", pageSize: 4096 },
  { platform: "powernv", pageSize: 65536 },
  { platform: "pseries", pageSize: 4096 },
  { platform: "pseries", pageSize: 65536 },
  { platform: "type1", pageSize: 4096 },
  { platform: "type1", pageSize: 65536 },
];

const firstSeed = Number(process.env.DMA_WINDOW_SEED ?? 1);
const programs = Number(process.env.DMA_WINDOW_PROGRAMS ?? 2004);
const each = Math.max(1, Math.floor(programs / kinds.length));

/** What must have come of some of the steps, or the programs have not been what they are meant to be. */
const ways = {
  both: [
    ...["map: done", "map: ERR_KERNEL", "map: ERR_ALREADY_LIVE", "map: ERR_OUTSIDE_WINDOW", "map: ERR_UNALIGNED_VA"],
    ...["map: ERR_VA_ALREADY_MAPPED", "map: ERR_WRAPS", "map: ERR_RESERVED", "map: ERR_NO_HOLE"],
    ...["unmap: done", "unmap: ERR_KERNEL with residue", "unmap: ERR_NOT_LIVE", "unmap: ERR_VA_MISMATCH"],
    ...["allocate: done", "allocate: ERR_KERNEL", "free: done", "add: done", "remove: done"],
    ...["add a list: done", "add a list: ERR_KERNEL with residue", "remove a list: done"],
    ...["attach: done", "attach: ERR_KERNEL", "attach: ERR_NO_HOLE", "detach: done", "device: done"],
    ...["create a window: done", "close a window: done", "close a window: ERR_WINDOW_IN_USE with residue"],
    ...["open a container: done", "close a container: done", "close a container: ERR_CLOSE", "close a table: done"],
  ],
  spapr: [
    ...["map: ERR_KERNEL with residue", "map: ERR_PINNED_PARTLY", "map: ERR_PARTLY_REGISTERED"],
    ...["unmap: ERR_STILL_REGISTERED with residue", "free: ERR_STILL_REGISTERED with residue"],
    ...["create a window: ERR_KERNEL with residue", "close a window: ERR_KERNEL with residue"],
  ],
};

for (const kind of kinds) {
  const name = `${kind.platform}, CPU pages of ${kind.pageSize / 1024} KiB`;
  test(`${name}: after every step of a random program the kernel has what was promised`, () => {
    const outcomes: Outcomes = new Map();
    for (let seed = firstSeed; seed < firstSeed + each; seed++) {
      const program = randomProgram(seed, MOST_STEPS);
      try {
        runProgram(new World(kind), program, outcomes);
      } catch (error) {
        report(kind, seed, program, error);
      }
    }
    if (each < 300) return;
    for (const way of [...ways.both, ...(kind.platform === "type1" ? [] : ways.spapr)])
      assert.ok((outcomes.get(way) ?? 0) > 0, `${way} never happened: ${JSON.stringify([...outcomes].sort())}`);
  });
}

test.run();
