/**
 * The allocation path on a real kernel: what a heap and its pool give, a device reads and writes, byte for byte, while the
 * heap grows eightfold in a window that stays as it is.
 *
 *     heap   |[first        ]         [  boundary  ]   ...            | grown: ...      [ last ]|
 *                    \___________ the device copies from each to each ____________/
 */
import * as assert from "uvu/assert";
import { DmaHeap, type DmaPool, MemsegTable, planWindow, type Window } from "../../../src/index.ts";
import type { MemsegList } from "../../../src/memory/types.ts";
import { EDU_BUFFER, type Edu } from "./edu.ts";
import { report, say, test } from "./say.ts";
import { KiB, MiB, Site } from "./site.ts";
import { type Place, Traffic } from "./traffic.ts";

/** Pages of one size, and how much of them a heap may have. */
interface Pages {
  readonly name: string;
  readonly size: bigint;
  readonly most: bigint;
}

/** A slot of a pool lies in one page of 4 KiB, as a controller's data pointer wants it. */
const SLOT = 4096;
const SLOTS = 16;
const GROWTH = 8n;

export function heap(): void {
  const site = new Site();
  let transfers = 0;
  let wrongBytes = 0;
  for (const pages of pagesOf(site)) {
    const bound = site.device();
    const container = site.open();
    const device = site.kernel.device(bound);
    const memory = new MemsegTable({ kernel: site.kernel });
    try {
      const list = memory.addList({ pageSize: pages.size, maxBytes: pages.most });
      const window = container.createWindow(planWindow({ memory, info: container.info() }));
      container.attach(memory);
      wrongBytes += new Trial(site, memory, list, window, device, pages).run();
    } finally {
      transfers += device.transfers;
      device.close();
      container.close();
      memory.close();
    }
  }
  report({ kind: "dma", transfers, wrongBytes });
  site.reportLeaks();
}

function pagesOf({ page, machine }: Site): Pages[] {
  const ordinary = { name: `ordinary pages of ${page / KiB} KiB`, size: page, most: 16n * MiB };
  const huge = machine.hugepages
    .filter(([shift]) => shift < 30)
    .map(([shift, count]) => ({
      name: `hugepages of ${1n << BigInt(shift - 20)} MiB`,
      size: 1n << BigInt(shift),
      most: BigInt(Math.min(count, 16)) << BigInt(shift),
    }));
  return [ordinary, ...huge];
}

class Trial {
  readonly #memory: MemsegTable;
  readonly #window: Window;
  readonly #name: string;
  readonly #heap: DmaHeap;
  readonly #traffic: Traffic;
  readonly #page: bigint;
  readonly #most: bigint;

  constructor(site: Site, memory: MemsegTable, list: MemsegList, window: Window, device: Edu, pages: Pages) {
    this.#memory = memory;
    this.#window = window;
    this.#name = pages.name;
    this.#page = pages.size;
    this.#most = pages.most;
    this.#heap = new DmaHeap({ memory, list, window, name: "guest", grow: { sync: true, low: 0 } });
    const scratch = this.#heap.buffer(EDU_BUFFER);
    this.#traffic = new Traffic(site.kernel, device, { va: this.#heap.vaOf(scratch.handle), iova: scratch.iova });
  }

  /** Gives the wrong bytes. */
  run(): number {
    const heap = this.#heap;
    const before = this.#live();
    const first = this.#place(heap.alloc(EDU_BUFFER));
    const crossing = this.#crossing();
    const pool = heap.pool({ size: SLOT, count: SLOTS, align: SLOT, boundary: SLOT, reuse: "fifo" });
    const slots = Array.from({ length: 4 }, () => this.#slot(pool));
    test(`${this.#name}: what the device reads in the heap's first buffer it writes into one that crosses a page`, () => {
      assert.is(this.#traffic.copy(first, crossing), 0, "wrong bytes");
      assert.is(this.#traffic.copy(crossing, first), 0, "wrong bytes");
    });
    const last = this.#grow(first, slots);
    test(`${this.#name}: what the device reads in the last bytes it writes into a pool's slot, and back`, () => {
      const [slot] = slots as [Place];
      assert.is(this.#traffic.copy(last, slot), 0, "wrong bytes");
      assert.is(this.#traffic.copy(slot, last), 0, "wrong bytes");
    });
    test(`${this.#name}: what was mapped before the heap grew is where it was`, () => {
      const now = new Map(this.#live().map(({ va, iova }) => [va, iova]));
      for (const { va, iova } of before) assert.is(now.get(va), iova);
    });
    test(`${this.#name}: memory under a heap is not freed under it`, () => {
      assert.throws(
        () => this.#window.close(),
        (error: { code?: string }) => error.code === "ERR_HELD",
      );
      assert.throws(
        () => this.#memory.close(),
        (error: { code?: string }) => error.code === "ERR_HELD",
      );
    });
    heap.close({ force: true });
    return this.#traffic.wrongBytes;
  }

  /** Until the heap has eight times what it had, the device copying in between; gives the place of its last bytes. */
  #grow(first: Place, slots: readonly Place[]): Place {
    const heap = this.#heap;
    const begun = this.#memory.bytes;
    const wanted = begun * GROWTH < this.#most ? begun * GROWTH : this.#most;
    let last = first;
    let turn = 0;
    let copies = 0;
    test(`${this.#name}: data moves while the heap grows from ${begun / KiB} KiB to ${wanted / KiB} KiB`, () => {
      const block = Number(this.#page < 256n * KiB ? 64n * KiB : this.#page / 4n);
      let copied = begun;
      while (this.#memory.bytes < wanted) {
        const handle = heap.tryAlloc(block);
        if (handle < 0) break;
        const { va, iova } = this.#place(handle);
        const end = BigInt(block - EDU_BUFFER);
        last = { va: va + end, iova: iova + end };
        if (this.#memory.bytes < 2n * copied) continue;
        copied = this.#memory.bytes;
        const slot = slots[turn++ % slots.length] as Place;
        copies += this.#traffic.copy(first, slot) + this.#traffic.copy(slot, last);
      }
      assert.is(copies, 0, "wrong bytes");
      assert.ok(this.#memory.bytes >= wanted, `${this.#memory.bytes} bytes`);
    });
    say(
      `${this.#name}: ${JSON.stringify(heap.stats, (_, value) => (typeof value === "bigint" ? String(value) : value))}`,
    );
    return last;
  }

  /** Bytes of one buffer on both sides of a page's end, where the heap has two pages in one piece. */
  #crossing(): Place {
    const heap = this.#heap;
    const length = Number(this.#page) + 8192;
    const { va, iova } = this.#place(heap.alloc(length));
    const into = this.#page - (iova % this.#page) - 2048n;
    const offset = into < 0n ? into + this.#page : into;
    return { va: va + offset, iova: iova + offset };
  }

  #slot(pool: DmaPool): Place {
    const slot = pool.slot(pool.get());
    return { va: pool.vas[slot] as bigint, iova: pool.iovas[slot] as bigint };
  }

  #place(handle: number): Place {
    return { va: this.#heap.vaOf(handle), iova: this.#heap.iovaOf(handle) };
  }

  /** What is mapped, page by page of the heap's. */
  #live(): Place[] {
    return [...this.#memory.memsegs()].map(({ va }) => ({ va, iova: this.#window.iovaOf(va) }));
  }
}
