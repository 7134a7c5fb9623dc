/** From an eventfd that another thread writes, as the kernel does for an interrupt, to the program's listener. */
import { read } from "node:fs";
import { EventLine } from "../../src/device/event-line.ts";
import { checkEventCalls } from "../../src/device/file.ts";
import { Vector } from "../../src/device/vector.ts";
import { linuxKernel } from "../../src/index.ts";
import { shimAvailable } from "../../src/linux/shim.ts";
import { type Row, type RowName, row } from "../harness/goals.ts";
import { type Bench, exactly, type Figure, type Group, type Outcome } from "../harness/group.ts";
import { median, minimum } from "../harness/statistics.ts";
import type { Addon } from "../rivals/native.ts";
import { type Hearer, Ringer } from "../threads/ringer.ts";

const SHARES = [50, 99] as const;
const EFFORT = { events: 1000, runs: 15 };
const QUICK = { events: 200, runs: 5 };
const WARM_UP = 100;

const LISTENER = "vector.on(listener)";
const READS = "fs.read, again and again";

/** A vector of the library's over an eventfd of Linux's. */
function vectorOf(): { readonly vector: Vector; readonly line: EventLine } {
  const line = new EventLine(checkEventCalls(linuxKernel()), (count) => vector.heard(count));
  const vector: Vector = new Vector(0, { line, isAutoMasked: false, unmask: () => {}, trigger: () => {} });
  return { vector, line };
}

/** In each turn of the event loop, which never sleeps. */
function polling(vector: Vector): Hearer {
  return {
    name: "vector.poll() in each turn of the event loop",
    begin: (heard) => {
      let next: NodeJS.Immediate | undefined;
      const look = (): void => {
        next = setImmediate(look);
        if (vector.poll() > 0) heard();
      };
      look();
      return () => clearImmediate(next);
    },
  };
}

/** What a program writes that has nothing but Node: reads that block a thread of the pool, the next one before the last is dealt with. */
function reading(fd: number, events: () => number, { blockReads }: Addon): Hearer {
  return {
    name: READS,
    begin: (heard) => {
      const count = new Uint8Array(8);
      let left = events();
      blockReads(fd, true);
      const again = (): void => {
        read(fd, count, 0, 8, null, (error) => {
          if (error) throw error;
          left--;
          if (left > 0) again();
          heard();
        });
      };
      again();
      return () => blockReads(fd, false);
    },
  };
}

/** Of all runs the best and the middle one, share by share, in microseconds. */
function figuresOf(name: string, runs: readonly (readonly number[])[]): Figure[] {
  return SHARES.map((size) => {
    const values = runs.map((took) => {
      const sorted = [...took].sort((a, b) => a - b);
      return (sorted[Math.ceil((size / 100) * sorted.length) - 1] as number) / 1000;
    });
    return { contender: name, size, minimum: minimum(values), median: median(values) };
  });
}

async function measure(bench: Bench, ringer: Ringer, addon: Addon | undefined): Promise<Figure[]> {
  const { vector, line } = vectorOf();
  const { events, runs } = bench.quick ? QUICK : EFFORT;
  let now = WARM_UP;
  const hearers: Hearer[] = [{ name: LISTENER, begin: (heard) => vector.on(heard) }, polling(vector)];
  if (addon) hearers.push(reading(line.fd, () => now, addon));
  const found = new Map<string, number[][]>(hearers.map(({ name }) => [name, []]));
  bench.say(`interrupts: ${hearers.length} contenders, ${runs} runs of ${events} events`);
  try {
    for (const hearer of hearers) await ringer.ring(line.fd, now, hearer); // until it is optimised
    now = events;
    for (let i = 0; i < runs; i++) {
      for (const hearer of bench.random.shuffled(hearers)) {
        found.get(hearer.name)?.push(await ringer.ring(line.fd, events, hearer));
      }
    }
  } finally {
    vector.end();
    line.end();
  }
  return [...found].flatMap(([name, each]) => figuresOf(name, each));
}

async function run(bench: Bench): Promise<Outcome> {
  if (!shimAvailable()) {
    bench.leaveOut("interrupts: the shim is not built");
    return { figures: [], rows: [] };
  }
  const ringer = new Ringer();
  try {
    const found = await measure(bench, ringer, bench.rivals.native?.addon);
    const against = (name: RowName, share: number): Row[] => {
      const [ours, theirs] = [exactly(found, LISTENER, share), exactly(found, READS, share)];
      return ours && theirs ? [row(name, ours.minimum, theirs.minimum, READS)] : [];
    };
    return {
      figures: found,
      rows: [...against("interrupt-to-callback", 50), ...against("interrupt-to-callback-p99", 99)],
    };
  } finally {
    await ringer.close();
  }
}

export const interrupts: Group = {
  name: "interrupts",
  title: "From an eventfd that another thread writes to the program's function: so many of 100 come no later",
  unit: "us",
  sizes: "%",
  rows: ["interrupt-to-callback", "interrupt-to-callback-p99"],
  run,
};
