/** How much of a heap's memory is of no use to the program, as time goes by; and whether a heap that is nearly full refuses. */
import { short } from "../harness/format.ts";
import { plainRow } from "../harness/goals.ts";
import { type Bench, exactly, type Figure, type Group, type Outcome } from "../harness/group.ts";
import type { Random } from "../harness/random.ts";
import { type GrowingHeap, growingHeap, HUGEPAGE } from "../tables/ours.ts";
import { logUniform, type Sizes } from "../tables/workload.ts";
import { DISTRIBUTIONS, FILLED, SPACE } from "./heap-random.ts";

/** When it is looked at: operations, the last of them those of the row. */
const MARKS = [2 ** 14, 2 ** 16, 2 ** 18, 2 ** 20, 2 ** 22, 10 ** 7] as const;
const QUICK_MARKS = [2 ** 14, 2 ** 16, 2 ** 18] as const;
const NEARLY_FULL = 0.95;
const TRIES = { thorough: 10 ** 6, quick: 10 ** 5 };

/** A heap that gets a hugepage whenever it has no room, and is asked for one block after the other. */
class Asked {
  readonly #heap: GrowingHeap;
  readonly #handles: number[] = [];
  readonly #sizes: number[] = [];
  readonly #random: Random;
  live = 0;

  constructor(heap: GrowingHeap, random: Random) {
    this.#heap = heap;
    this.#random = random;
  }

  /** Whether there was room, perhaps in another hugepage. */
  take(size: number, mayGrow: boolean): boolean {
    let handle = this.#heap.tryAlloc(size);
    if (handle < 0 && mayGrow) {
      this.#heap.grow();
      handle = this.#heap.tryAlloc(size);
    }
    if (handle < 0) return false;
    this.#handles.push(handle);
    this.#sizes.push(size);
    this.live += size;
    return true;
  }

  /** One that is picked at random. */
  give(): void {
    const at = this.#random.below(this.#handles.length);
    const [handle, size] = [this.#handles.pop() as number, this.#sizes.pop() as number];
    const other = this.#handles[at];
    if (other === undefined) this.#give(handle, size);
    else {
      this.#give(other, this.#sizes[at] as number);
      this.#handles[at] = handle;
      this.#sizes[at] = size;
    }
  }

  #give(handle: number, size: number): void {
    this.#heap.free(handle);
    this.live -= size;
  }

  /** Of the hugepages in use, in percent. */
  get waste(): number {
    return 100 * (1 - this.live / (this.#heap.pages() * HUGEPAGE));
  }
}

/**
 * What is live is held just below the same number of bytes: hugepages stay once they are there, and peaks of what is live would count as
 * the heap's waste. Each operation allocates one block, and frees as many as that takes.
 */
function wasteOver(bench: Bench, called: string, sizes: Sizes, marks: readonly number[]): Figure[] {
  bench.say(`heap-waste: ${marks.at(-1)} operations, ${called}`);
  const heap = growingHeap(0);
  const most = SPACE * FILLED;
  try {
    const asked = new Asked(heap, bench.random);
    const operate = (): boolean => {
      const size = sizes(bench.random);
      const isFull = asked.live + size > most;
      while (asked.live + size > most) asked.give();
      if (!asked.take(size, true)) throw new Error(`a block was refused with ${heap.pages()} hugepages`);
      return isFull;
    };
    while (!operate());
    let done = 0;
    return marks.map((mark) => {
      for (; done < mark; done++) operate();
      return { contender: called, size: mark, minimum: asked.waste, median: asked.waste };
    });
  } finally {
    heap.close();
  }
}

/** In a heap of 512 MiB that does not grow: how many were refused, and how much was live when the first was. */
function failures(bench: Bench): { refused: number; tries: number; first: number } {
  const tries = bench.quick ? TRIES.quick : TRIES.thorough;
  bench.say(`heap-waste: ${tries} operations with ${NEARLY_FULL * 100} % live`);
  const heap = growingHeap(SPACE / HUGEPAGE);
  try {
    const asked = new Asked(heap, bench.random);
    const most = SPACE * NEARLY_FULL;
    let refused = 0;
    for (let i = 0; i < tries; i++) {
      const size = logUniform(bench.random);
      while (asked.live + size > most) asked.give();
      if (!asked.take(size, false)) refused++;
    }
    while (asked.take(logUniform(bench.random), false));
    return { refused, tries, first: (100 * asked.live) / SPACE };
  } finally {
    heap.close();
  }
}

async function run(bench: Bench): Promise<Outcome> {
  const marks = bench.quick ? QUICK_MARKS : MARKS;
  const found = DISTRIBUTIONS.flatMap(({ called, sizes }) => wasteOver(bench, called, sizes, marks));
  const { refused, tries, first } = failures(bench);
  const last = (called: string): number => exactly(found, called, marks.at(-1))?.minimum ?? Number.NaN;
  return {
    figures: found,
    rows: [
      plainRow("heap-waste", last("log-uniform")),
      plainRow("heap-waste-uniform", last("uniform")),
      plainRow("heap-waste-failures-95", (refused * TRIES.thorough) / tries),
    ],
    notes: [
      `${refused} of ${tries} operations were refused with ${NEARLY_FULL * 100} % of 512 MiB live; then, filled up, the first with ${short(first)} %.`,
    ],
  };
}

export const heapWaste: Group = {
  name: "heap-waste",
  title: `What is of no use in a heap with ${(SPACE * FILLED) / 2 ** 20} MiB live in blocks of 64 bytes to 64 KiB, freed and allocated at random`,
  unit: "% of the hugepages",
  sizes: "operations",
  rows: ["heap-waste", "heap-waste-uniform", "heap-waste-failures-95"],
  run,
};
