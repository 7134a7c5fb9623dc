/**
 * DMA that is under way while memory comes and goes, under both schemes. The device copies from one live page to another,
 * again and again; shortly before it moves the bytes, the program allocates or frees other memory. The memory in use grows
 * until it is many times what it was.
 *
 *     program   start copy ......... allocate, free ...      check
 *     device                                    moves the bytes
 *
 * A transfer whose bytes did not arrive is lost: every page it touches is live, and is the program's throughout.
 */
import * as assert from "uvu/assert";
import { DynamicWindow, type Piece } from "../../../src/baseline/dynamic.ts";
import { Witness } from "../../../src/cli/witness.ts";
import { type Container, MemsegTable, openContainer, planWindow, type Window } from "../../../src/index.ts";
import type { Segment } from "../../../src/memory/segment.ts";
import type { MemsegList } from "../../../src/memory/types.ts";
import { Random } from "../../support/random.ts";
import type { Scheme } from "../console.ts";
import { EDU_BUFFER, type Edu, sleep } from "./edu.ts";
import { report, say, test } from "./say.ts";
import { KiB, MiB, Site } from "./site.ts";

/** One flight each: a window is replaced six times in a flight, and a transfer is not always under way then. */
const SEEDS = [7, 8, 9];
const BEGIN = 512n * KiB;
/** Eightfold would show it; more shows it more often. */
const END = 32n * MiB;
/** Address space, which is what the static window is planned from. */
const SPACE = 64n * MiB;

/** Transfers at the beginning that show how long the device takes. */
const TRIALS = 3;
/** How exactly a moment is met, in milliseconds. */
const SLACK_MS = 2;

/** A way of giving the device memory. */
interface Way {
  map(segment: Segment): void;
  unmap(segment: Segment): void;
  iovaOf(segment: Segment): bigint;
}

export function flight(): void {
  const site = new Site();
  const results = new Map<Scheme, Result>();
  for (const scheme of ["static", "dynamic"] as const) {
    const result = SEEDS.map((seed) => fly(site, scheme, seed)).reduce(together);
    results.set(scheme, result);
    const { transfers, lost, interrupted } = result;
    report({ kind: "inFlight", scheme, transfers, lost, interrupted });
    say(
      `${scheme}: from ${result.first / KiB} KiB to ${result.last / KiB} KiB, ${result.changes} changes, ${JSON.stringify({ transfers, lost, interrupted })}`,
    );
  }
  for (const [scheme, result] of results) {
    test(`the ${scheme} scheme: memory grows at least eightfold under a device at work`, () => {
      assert.ok(result.last >= 8n * result.first, `from ${result.first} to ${result.last} bytes`);
      assert.ok(result.transfers >= 50, `${result.transfers} transfers`);
    });
  }
  test("the static window loses no transfer and takes no live page away", () => {
    const { lost, interrupted } = results.get("static") as Result;
    assert.equal({ lost, interrupted }, { lost: 0, interrupted: 0 });
  });
  test("the dynamic scheme takes live pages away, which is what makes the difference", () => {
    assert.ok((results.get("dynamic") as Result).interrupted > 0);
  });
  site.reportLeaks();
}

interface Result {
  transfers: number;
  lost: number;
  interrupted: number;
  changes: number;
  /** Bytes in use at the beginning, and at most. */
  first: bigint;
  last: bigint;
}

/** Two flights as one. */
function together(a: Result, b: Result): Result {
  return {
    transfers: a.transfers + b.transfers,
    lost: a.lost + b.lost,
    interrupted: a.interrupted + b.interrupted,
    changes: a.changes + b.changes,
    first: a.first > b.first ? a.first : b.first,
    last: a.last < b.last ? a.last : b.last,
  };
}

function fly(site: Site, scheme: Scheme, seed: number): Result {
  const witness = new Witness(site.kernel);
  const { kernel } = witness;
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: site.page, maxBytes: SPACE });
  const bound = site.device();
  const container = openContainer({ kernel, groups: [bound.group] });
  try {
    const way = scheme === "static" ? staticWay(container, memory) : dynamicWay(container, memory, list);
    const pages = Number(BEGIN / 8n / site.page) || 1;
    const live = Array.from({ length: 8 }, () => allocate(memory, list, pages, way));
    const device = site.kernel.device(bound);
    try {
      const result = { lost: 0, changes: 0, first: memory.bytes, last: 0n };
      new Flight(new Random(seed), site, memory, list, live, way, witness, device).go(result);
      return { ...result, transfers: device.transfers, interrupted: witness.interrupted };
    } finally {
      device.close();
    }
  } finally {
    witness.lettingGoOfAll();
    container.close();
    memory.close();
  }
}

/** One window for all that the list will ever hold; memory that comes is mapped by the library. */
function staticWay(container: Container, memory: MemsegTable): Way {
  const window: Window = container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  return { map: () => {}, unmap: () => {}, iovaOf: ({ va }) => window.iovaOf(va) };
}

/** A window as large as what is mapped, replaced when that grows. */
function dynamicWay(container: Container, memory: MemsegTable, list: MemsegList): Way {
  const window = new DynamicWindow(container, { memory, info: container.info() });
  const pieces = new Map<Segment, Piece>();
  const pieceOf = (segment: Segment) => pieces.get(segment) as Piece;
  return {
    map: (segment) => {
      const piece = { va: segment.va, offset: segment.va - list.base, length: segment.length };
      window.map(piece);
      pieces.set(segment, piece);
    },
    unmap: (segment) => {
      window.unmap(pieceOf(segment));
      pieces.delete(segment);
    },
    iovaOf: (segment) => window.iovaOf(pieceOf(segment)),
  };
}

function allocate(memory: MemsegTable, list: MemsegList, pages: number, way: Way): Segment {
  const segment = memory.allocate(list, pages);
  way.map(segment);
  return segment;
}

class Flight {
  readonly #random: Random;
  readonly #site: Site;
  readonly #memory: MemsegTable;
  readonly #list: MemsegList;
  /** The first two are the device's: it copies between them. */
  readonly #live: Segment[];
  readonly #way: Way;
  readonly #witness: Witness;
  readonly #device: Edu;
  /** Milliseconds from the word to the device until it moves its bytes. */
  #latency = 0;
  /** Milliseconds that the longest change took so far. */
  #longest = 0;

  constructor(
    random: Random,
    site: Site,
    memory: MemsegTable,
    list: MemsegList,
    live: Segment[],
    way: Way,
    witness: Witness,
    device: Edu,
  ) {
    this.#random = random;
    this.#site = site;
    this.#memory = memory;
    this.#list = list;
    this.#live = live;
    this.#way = way;
    this.#witness = witness;
    this.#device = device;
  }

  go(result: { lost: number; changes: number; last: bigint }): void {
    let pattern = 0;
    this.#latency = Math.min(...Array.from({ length: TRIALS }, () => this.#timed(() => this.#idle())));
    while (result.last < END) {
      const [from, to] = [this.#use(0), this.#use(1)];
      from.bytes.fill(++pattern);
      to.bytes.fill(~pattern);
      this.#device.startLoad(this.#way.iovaOf(from), EDU_BUFFER);
      this.#change(result);
      this.#device.wait();
      this.#device.startStore(this.#way.iovaOf(to), EDU_BUFFER);
      this.#change(result);
      this.#device.wait();
      result.lost += this.#lost(to, pattern & 0xff);
    }
  }

  #use(index: number): Segment {
    return this.#live[index] as Segment;
  }

  /** The copy's second half is lost when nothing came, its first half when something else came. */
  #lost(to: Segment, pattern: number): number {
    const arrived = to.bytes.subarray(0, EDU_BUFFER).every((byte) => byte === pattern);
    return arrived ? 0 : 1;
  }

  /** A transfer during which nothing changes. */
  #idle(): void {
    this.#device.load(this.#way.iovaOf(this.#use(0)), EDU_BUFFER);
  }

  #timed(run: () => void): number {
    const began = performance.now();
    run();
    return performance.now() - began;
  }

  /** Waits until the device is about to move its bytes: a change that begins now, or soon, is under way when it does. */
  #change(result: { changes: number; last: bigint }): void {
    // The next change that replaces a window takes about twice as long as the last: there is twice as much to map again.
    const before = SLACK_MS + Math.ceil(2 * this.#longest);
    sleep(Math.max(1, this.#latency - before + this.#random.below(before)));
    result.changes++;
    this.#longest = Math.max(
      this.#longest,
      this.#timed(() => this.#comeOrGo()),
    );
    if (this.#memory.bytes > result.last) result.last = this.#memory.bytes;
  }

  /** Memory comes, or now and then goes. */
  #comeOrGo(): void {
    if (this.#live.length > 8 && this.#random.once(4)) {
      const [segment] = this.#live.splice(2 + this.#random.below(this.#live.length - 2), 1);
      if (segment !== undefined) this.#free(segment);
    } else {
      const most = Number((2n * MiB) / this.#site.page);
      const pages = 1 + this.#random.below(most);
      this.#live.push(allocate(this.#memory, this.#list, pages, this.#way));
    }
  }

  #free(segment: Segment): void {
    this.#witness.lettingGo(this.#way.iovaOf(segment), segment.length);
    this.#way.unmap(segment);
    this.#memory.free(segment);
  }
}
