/** What the NVMe driver of examples/nvme takes of each command, on a controller that completes at once. */
import { strict as assert } from "node:assert";
import { Nvm } from "../../examples/nvme/commands.mjs";
import type { IoBuffers } from "../../examples/nvme/prp.mjs";
import { shimAvailable } from "../../src/linux/shim.ts";
import { short } from "../harness/format.ts";
import { garbageOf } from "../harness/garbage.ts";
import { plainRow } from "../harness/goals.ts";
import { type Bench, type Figure, fastest, figures, type Group, type Outcome } from "../harness/group.ts";
import { inJavaScript, type Work } from "../harness/loop.ts";
import { type MappedFile, mappedFile } from "../tables/mapped-file.ts";
import { BLOCKS, buffers, checkEntries, Instant, NAMESPACE, Owner, queueWith } from "../tables/nvme-queue.ts";

const COMMANDS = 1024;
const BATCH = 32;
/** Entries are put into an empty ring: of 32 KiB, which the first cache holds. */
const DEPTH = 512;
const DOORBELLS = { bytes: 8192, submission: 0x1008 };

const ENTRY = "an entry of 64 bytes";
const POLLED = "a command, whole";
const BATCHED = `${BATCH} commands at once, whole, each`;
const ALONE = { one: "the controller alone: a command", batch: `the controller alone: ${BATCH} commands, each` };

/** The driver's call; `i` is the command, `tag` its buffer. */
const PUT = `queue.putBlocks(owner, i, ${Nvm.READ}, ${NAMESPACE}, i, ${BLOCKS}, prps, i & ${BATCH - 1}, 1)`;

function entries(all: IoBuffers, file: MappedFile): Work {
  const instant = new Instant(DEPTH);
  const queue = queueWith(instant, DEPTH, file.bar);
  const stopped = new Error("the bench empties the ring");
  const empty = (): void => {
    queue.failAll(() => stopped);
    queue.restart();
    queue.isOpen = true;
  };
  return {
    name: ENTRY,
    before: "empty();",
    once: `for (let i = 0; i < ${DEPTH}; i++) sum += ${PUT} ? 1 : 0;`,
    scope: { queue, empty, owner: new Owner(), prps: all.prps },
    expected: DEPTH,
    verify: () => checkEntries(instant.submission, DEPTH, all),
  };
}

/** The same words by a loop that knows them: nothing is asked, and nothing kept. */
function stores(all: IoBuffers): Work {
  const { submission: ring } = new Instant(DEPTH);
  return {
    name: "sixteen stores, two of them of an IOVA",
    once: `for (let i = 0; i < ${DEPTH}; i++) {
      const at = i * 16; const slot = (i & ${BATCH - 1}) * 6;
      ring[at] = ${Nvm.READ} | (i << 16); ring[at + 1] = ${NAMESPACE}; ring[at + 2] = 0; ring[at + 3] = 0;
      ring[at + 4] = 0; ring[at + 5] = 0; ring[at + 6] = prps[slot]; ring[at + 7] = prps[slot + 1];
      ring[at + 8] = 0; ring[at + 9] = 0; ring[at + 10] = i; ring[at + 11] = 0;
      ring[at + 12] = ${BLOCKS - 1}; ring[at + 13] = 0; ring[at + 14] = 0; ring[at + 15] = 0;
      sum++;
    }`,
    scope: { ring, prps: all.prps },
    expected: DEPTH,
    verify: () => checkEntries(ring, DEPTH, all),
  };
}

/** `count` commands put, one doorbell, answered, polled, and the other doorbell. */
function whole(name: string, count: number, all: IoBuffers, file: MappedFile): Work {
  const instant = new Instant(BATCH);
  const owner = new Owner();
  const queue = queueWith(instant, BATCH, file.bar);
  const puts = count === 1 ? `${PUT};` : `for (let end = i + ${count}; i < end; i++) ${PUT};`;
  return {
    name,
    once: `for (let i = 0; i < ${COMMANDS}; ${count === 1 ? "i++" : ""}) {
      ${puts}
      queue.ring();
      instant.answer(${count});
      sum += queue.poll();
    }`,
    scope: { queue, instant, owner, prps: all.prps },
    expected: COMMANDS,
    spoil: () => {
      owner.done = 0;
    },
    verify: () => {
      const doorbells = new DataView(file.read().buffer, DOORBELLS.submission);
      assert.equal(owner.done % COMMANDS, 0);
      assert.deepEqual([owner.done > 0, owner.statuses, queue.stale, queue.inFlight], [true, 0, 0, 0]);
      // Both rings are as far as each other: so are the doorbells, as long as they were written.
      assert.equal(doorbells.getUint32(0, true), doorbells.getUint32(4, true));
    },
  };
}

/** What of that is no driver's. */
function alone(name: string, count: number): Work {
  return {
    name,
    once: `for (let i = 0; i < ${COMMANDS}; i += ${count}) sum += instant.answer(${count}) === 0 ? ${count} : 0;`,
    scope: { instant: new Instant(BATCH) },
    expected: COMMANDS,
  };
}

function rowsOf(found: readonly Figure[]): { rows: Outcome["rows"]; notes: string[] } {
  const least = (name: string): number => fastest(found, name)?.minimum ?? Number.NaN;
  const one = least(POLLED) - least(ALONE.one);
  const batch = least(BATCHED) - least(ALONE.batch);
  return {
    rows: [plainRow("nvme-entry", least(ENTRY)), plainRow("nvme-polled", one), plainRow("nvme-batch-32", batch)],
    notes: [
      `Without the controller's own part: ${short(one)} ns for a command by itself, ${short(batch)} ns for each of ${BATCH}.`,
    ],
  };
}

async function run(bench: Bench): Promise<Outcome> {
  if (!shimAvailable()) {
    bench.leaveOut("the NVMe driver's commands: the shim is not built, so there are no doorbells");
    return { figures: [], rows: [] };
  }
  const file = mappedFile(DOORBELLS.bytes);
  const memory = buffers(BATCH);
  try {
    const { all } = memory;
    const wholes = [whole(POLLED, 1, all, file), whole(BATCHED, BATCH, all, file)];
    const works = [stores(all), entries(all, file), alone(ALONE.one, 1), ...wholes, alone(ALONE.batch, BATCH)];
    const operations = works.map(({ expected }) => expected);
    const timings = await bench.compete("nvme", works.map(inJavaScript));
    const found = timings.flatMap((timing, i) => figures([timing], operations[i] as number));
    const garbage = wholes.map((work): [string, number] => [work.name, garbageOf(work, COMMANDS)]);
    const { rows, notes } = rowsOf(found);
    return {
      figures: found,
      rows: [...rows, plainRow("nvme-garbage", Math.max(...garbage.map(([, bytes]) => bytes)))],
      notes: [...notes, ...garbage.map(([name, bytes]) => `${name}: ${short(bytes)} bytes of garbage per command`)],
    };
  } finally {
    memory.close();
    file.close();
  }
}

export const nvme: Group = {
  name: "nvme",
  title: "A command of the NVMe driver: put, doorbell, completed at once, polled, doorbell",
  unit: "ns per command",
  rows: ["nvme-entry", "nvme-polled", "nvme-batch-32", "nvme-garbage"],
  run,
};
