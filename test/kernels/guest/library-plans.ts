/** From what a program says of its memory to a window that holds it: every way of planning, with the memory it is for. */

import * as assert from "uvu/assert";
import { type MemsegTable, planWindow, readIomem, type Segment, type Window } from "../../../src/index.ts";
import { inPlacingOrder } from "../../../src/plan/order.ts";
import { EDU_BUFFER } from "./edu.ts";
import { refused, says } from "./library-checks.ts";
import { inSession, type Session } from "./library-session.ts";
import { test } from "./say.ts";
import { MiB, type Site } from "./site.ts";
import type { Place } from "./traffic.ts";

/** Low enough for a window that ends at 1 GiB, which is where an LPAR's low one ends; and free in a small program. */
const LOW = 512n * MiB;

/** Memory of one page size. */
interface Source {
  readonly name: string;
  readonly pageSize: bigint;
  /** Pages that are taken of it. */
  readonly pages: number;
  readonly maxBytes: bigint;
}

export function plans(site: Site): void {
  const ordinary: Source = { name: "ordinary memory", pageSize: site.page, pages: 3, maxBytes: 4n * MiB };
  const pools = site.machine.hugepages.map(([shift, count]): Source => {
    const pageSize = 1n << BigInt(shift);
    return { name: sizeName(shift), pageSize, pages: Math.min(2, count), maxBytes: pageSize * BigInt(count) };
  });
  for (const source of [ordinary, ...pools]) fromLists(site, source.name, [source]);
  // A page of 1 GiB in pages of 4 KiB is a quarter of a million calls to an LPAR's firmware.
  const modest = pools.filter(({ pageSize }) => pageSize <= 16n * MiB);
  if (modest.length > 0) fromLists(site, "page sizes side by side", [ordinary, ...modest]);
  fromExternalLists(site);
  fromLowAddresses(site);
  fromIomem(site);
}

function sizeName(shift: number): string {
  return `hugepages of ${shift < 30 ? `${1 << (shift - 20)} MiB` : "1 GiB"}`;
}

/** Lists one behind the other, each at a multiple of its page size. */
function fromLists(site: Site, name: string, sources: readonly Source[]): void {
  inSession(site, name, (session) => {
    const container = session.open();
    const memory = session.table();
    const lists = sources.map(({ pageSize, maxBytes }) => memory.addList({ pageSize, maxBytes }));
    const info = container.info();
    const plan = planWindow({ memory, info });
    const window = session.create(container, plan);
    test(`${name}: the window is where, and as large, as planned, and its tables are charged to the byte`, () => {
      const smallest = sources.reduce((least, { pageSize }) => (pageSize < least ? pageSize : least), 1n << 62n);
      const usable = info.pageSizes & ((smallest << 1n) - 1n);
      assert.is(window.pageShift, usable.toString(2).length - 1, "the largest page that all memory allows");
      assert.is(window.start, plan.start, "start");
      assert.is(window.size, plan.size, "size");
      assert.is(window.largestHole, window.size, "largestHole");
      session.holds(0n);
    });
    container.attach(memory);
    let end = window.start;
    const regions = new Map<unknown, bigint>();
    for (const one of inPlacingOrder(lists, container.kind)) {
      const iova = ((end + one.pageSize - 1n) / one.pageSize) * one.pageSize;
      end = iova + one.length;
      regions.set(one, iova);
    }
    const segments = sources.map(({ pages }, i) => memory.allocate(lists[i] as never, pages));
    test(`${name}: what is allocated is mapped in its list's part of the window, and locked to the byte`, () => {
      const done = segments.map(({ va, length }, i) => ({ va, length, iova: regions.get(lists[i]) as bigint }));
      says(window, done);
      session.holds(memory.bytes);
    });
    arrives(session, name, window, segments);
    test(`${name}: what is freed is not locked any more`, () => {
      for (const segment of segments) memory.free(segment);
      says(window, []);
      session.holds(0n);
    });
  });
}

/** The device carries bytes from the first segment's beginning to the last one's end. */
function arrives(session: Session, name: string, window: Window, segments: readonly Segment[]): void {
  const [first, last] = [segments[0] as Segment, segments.at(-1) as Segment];
  const end = last.va + last.length - BigInt(EDU_BUFFER);
  const [from, to] = [first.va, end].map((va): Place => ({ va, iova: window.iovaOf(va) })) as [Place, Place];
  test(`${name}: a device moves bytes from its first bytes to its last`, () => {
    assert.is(session.traffic(to).copy(from, to), 0, "wrong bytes");
  });
}

/** Memory that the program has: its own business, unless it says that it is a heap. */
function fromExternalLists(site: Site): void {
  inSession(site, "external lists", (session) => {
    const container = session.open();
    const memory = session.table();
    const length = 4n * session.page;
    const [own, heap] = [session.memory(length), session.memory(length)];
    // Pages that would make the window's small, if they counted.
    const foreign = memory.addList({ pageSize: 4096n, maxBytes: length, base: own, external: true });
    const served = memory.addList({
      ...{ pageSize: session.page, maxBytes: length, base: heap },
      ...{ external: true, heap: true },
    });
    memory.add(foreign, { va: own, length });
    memory.add(served, { va: heap, length: session.page });
    const plan = planWindow({ memory, info: container.info() });
    const window = session.create(container, plan);
    test("external lists: the window is for the heap alone", () => {
      assert.is(plan.needed, length);
      assert.ok(window.size === length && 1n << BigInt(window.pageShift) <= session.page);
      assert.ok(session.page === 4096n || window.pageShift > 12, `pages of 2^${window.pageShift}`);
    });
    test("external lists: a heap's memory is mapped when the table is attached, and its owner's memory is not", () => {
      container.attach(memory);
      says(window, [{ va: heap, iova: window.start, length: session.page }]);
      assert.is(window.translate(own), undefined);
      session.holds(session.page);
    });
    test("external lists: what is added to a heap is mapped, and unmapped when it is removed", () => {
      const second = { va: heap + 2n * session.page, length: 2n * session.page };
      memory.add(served, second);
      says(window, [
        { va: heap, iova: window.start, length: session.page },
        { ...second, iova: window.start + 2n * session.page },
      ]);
      session.holds(3n * session.page);
      memory.remove(heap);
      says(window, [{ ...second, iova: window.start + 2n * session.page }]);
      session.holds(2n * session.page);
      memory.remove(own);
      session.holds(2n * session.page, "after memory that was not mapped");
    });
  });
}

/** IOVAs that are virtual addresses. */
function fromLowAddresses(site: Site): void {
  inSession(site, "IOVA mode va", (session) => {
    const container = session.open();
    const memory = session.table();
    const list = memory.addList({ pageSize: session.page, maxBytes: MiB, near: LOW });
    assert.is(list.base, LOW, "the address was free");
    const window = session.create(container, planWindow({ memory, info: container.info(), iovaMode: "va" }));
    container.attach(memory);
    const segment = memory.allocate(list, 2);
    test("IOVA mode va: the window reaches the list from 0, and every IOVA is the address of its memory", () => {
      assert.equal([window.start, window.size], [0n, 1024n * MiB]);
      says(window, [{ va: segment.va, iova: segment.va, length: segment.length }]);
      session.holds(segment.length);
    });
    const own = session.memory(session.page);
    test("IOVA mode va: memory of the program that lies beyond the window is refused", () => {
      refused("ERR_OUTSIDE_WINDOW", () => window.map({ va: own, length: session.page }));
      session.holds(segment.length);
    });
    arrives(session, "IOVA mode va", window, [segment]);
  });
}

/** IOVAs that are physical addresses, as far as the machine's RAM reaches. */
function fromIomem(site: Site): void {
  inSession(site, "IOVA mode pa", (session) => {
    const container = session.open();
    const memory = session.table({ physical: true });
    const list = memory.addList({ pageSize: session.page, maxBytes: MiB });
    const { highest } = readIomem();
    const request = { memory, info: container.info(), iovaMode: "pa", highestRam: highest } as const;
    if (site.machine.machine === "pseries") {
      test("IOVA mode pa: an LPAR's firmware puts so large a window high, so it cannot be planned", () => {
        const { message } = refused("ERR_PLAN_IMPOSSIBLE", () => planWindow(request));
        assert.match(message, "firmware puts it at 0x800000000000000");
      });
      return;
    }
    const window = session.create(container, planWindow(request));
    const { largestHole } = window;
    test("IOVA mode pa: the window holds all of the machine's RAM", () => {
      assert.is(window.start, 0n);
      assert.ok(window.contains(highest, 1n) && !window.contains(highest * 2n, 1n), `${window.size} for ${highest}`);
      session.holds(0n);
    });
    container.attach(memory);
    const segment = memory.allocate(list, 4);
    test("IOVA mode pa: memory is mapped where its pages were said to be, run by run", () => {
      says(window, placesOf(memory));
      session.holds(segment.length);
    });
    arrives(session, "IOVA mode pa", window, [segment]);
    test("IOVA mode pa: what is freed leaves its IOVAs to other memory", () => {
      memory.free(segment);
      says(window, []);
      assert.is(window.largestHole, largestHole);
      session.holds(0n);
    });
  });
}

function placesOf(memory: MemsegTable) {
  return [...memory.memsegs()].map(({ va, iova, length }) => {
    if (iova === undefined) throw new Error(`the memory at ${va} has no physical address`);
    return { va, iova, length };
  });
}
