/** Memory that comes and goes under a container that it is attached to. */
import * as assert from "uvu/assert";
import {
  type MappedRun,
  type MemsegTable,
  planWindow,
  readHugepages,
  type Segment,
  type Window,
} from "../../../src/index.ts";
import type { MemsegList } from "../../../src/memory/types.ts";
import { sleep } from "./edu.ts";
import { longestFree, refused, refusedUnasked, says } from "./library-checks.ts";
import { inSession, type Session } from "./library-session.ts";
import { test } from "./say.ts";
import type { Site } from "./site.ts";
import type { Place } from "./traffic.ts";

const ENOMEM = -12;

/** Far more than any grace period takes. */
const PATIENCE_MS = 5000;

export function events(site: Site): void {
  inSession(site, "an attached memory", comingAndGoing);
  inSession(site, "two memories in one window", twoMemories);
  for (const [shift, count] of site.machine.hugepages)
    inSession(site, `a pool of ${count} pages of 2^${shift} bytes`, (session) => exhausted(session, shift, count));
}

/** A memory whose one list has 64 pages, under a window with room for 256. */
function attached(session: Session) {
  const { page } = session;
  const container = session.open();
  const memory = session.table();
  const list = memory.addList({ pageSize: page, maxBytes: 64n * page });
  const window = session.create(container, planWindow({ memory, info: container.info(), growTo: 256n * page }));
  return { page, container, memory, list, window };
}

/** Where a segment has to be: as far from its list's region as from its list. */
function at(segment: Segment, region: bigint): MappedRun {
  return { va: segment.va, iova: region + (segment.va - segment.list.base), length: segment.length };
}

function comingAndGoing(session: Session): void {
  const { page, container, memory, list, window } = attached(session);
  const early = memory.allocate(list, 3);
  const region = { iova: window.start, length: list.length };
  test("attaching maps what is there, and sets IOVAs aside for all that will come", () => {
    session.holds(0n, "before");
    container.attach(memory);
    says(window, [at(early, window.start)]);
    assert.is(window.largestHole, longestFree(window, [region]));
    session.holds(3n * page);
  });
  const later = memory.allocate(list, 5);
  const traffic = session.traffic(placeOf(window, early));
  test("what is allocated is mapped, and a device moves bytes between that and what was there before", () => {
    says(window, [at(early, window.start), at(later, window.start)]);
    session.holds(8n * page);
    assert.is(traffic.copy(placeOf(window, early), placeOf(window, later)), 0, "wrong bytes");
  });
  const freed = placeOf(window, early);
  test("what is freed is not locked any more, and what stays is where it was", () => {
    memory.free(early);
    says(window, [at(later, window.start)]);
    session.holds(5n * page);
    assert.is(memory.allocate(list, 3).va, freed.va);
    assert.is(window.iovaOf(freed.va), freed.iova);
    session.holds(8n * page);
  });
  const second = memory.addList({ pageSize: page, maxBytes: 128n * page });
  test("a list that is added later has IOVAs behind the first, and its memory is mapped", () => {
    assert.is(
      window.largestHole,
      longestFree(window, [region, { iova: window.start + 64n * page, length: second.length }]),
    );
    session.holds(8n * page);
    const segment = memory.allocate(second, 2);
    assert.is(window.iovaOf(segment.va), window.start + 64n * page);
    session.holds(10n * page);
  });
  test("a list for which the window has no room is refused before the kernel is asked for more than its space", () => {
    const before = memory.lists;
    refused("ERR_NO_HOLE", () => memory.addList({ pageSize: page, maxBytes: 128n * page }));
    assert.equal(memory.lists, before);
    session.holds(10n * page);
  });
  const all = [...window.maps()];
  const kept = placeOf(window, later);
  detachAndBack(session, { container, memory, window, all, kept });
}

interface Attached {
  readonly container: ReturnType<Session["open"]>;
  readonly memory: MemsegTable;
  readonly window: Window;
  /** What was mapped. */
  readonly all: readonly MappedRun[];
  /** A part of it. */
  readonly kept: Place;
}

function detachAndBack(session: Session, { container, memory, window, all, kept }: Attached): void {
  const { page } = session;
  const own = session.memory(page);
  const scratch = { va: own, iova: window.map({ va: own, length: page, iova: window.start + 255n * page }) };
  const traffic = session.traffic(scratch);
  test("a memory that is detached is unmapped as a whole, and the program still has it", () => {
    assert.is(traffic.writes(kept), true, "written before");
    container.detach(memory);
    says(window, [{ ...scratch, length: page }]);
    session.holds(page);
    assert.is(window.largestHole, longestFree(window, [{ iova: scratch.iova, length: page }]));
    assert.is(traffic.writes(kept), false, "written after");
    assert.is(memory.bytes, 10n * page);
  });
  test("while it is detached its segments come and go without the kernel's VFIO", () => {
    const [list] = memory.lists as [MemsegList];
    memory.free(memory.allocate(list, 1));
    session.holds(page);
  });
  test("attached again, all of it is mapped; where it was, or on type1 where its lists lie in their order", () => {
    container.attach(memory);
    const own = { ...scratch, length: page };
    if (container.kind !== "type1") says(window, [...all, own]);
    const bytes = [...window.maps()].reduce((sum, { length }) => sum + length, 0n);
    assert.is(bytes, 11n * page);
    session.holds(11n * page);
    assert.is(traffic.writes({ ...kept, iova: window.iovaOf(kept.va) }), true, "written");
  });
}

function twoMemories(session: Session): void {
  const { page, container, memory, list, window } = attached(session);
  const other = session.table();
  const otherList = other.addList({ pageSize: page, maxBytes: 64n * page });
  container.attach(memory);
  container.attach(other);
  const [one, two] = [memory.allocate(list, 2), other.allocate(otherList, 3)];
  const own = session.memory(page);
  test("two memories and the program's own maps share a window, each in IOVAs of its own", () => {
    const mine = window.map({ va: own, length: page });
    assert.is(mine, window.start + 128n * page);
    says(window, [at(one, window.start), at(two, window.start + 64n * page), { va: own, iova: mine, length: page }]);
    session.holds(6n * page);
    assert.is(
      session.traffic({ va: own, iova: mine }).copy(placeOf(window, one), placeOf(window, two)),
      0,
      "wrong bytes",
    );
  });
  test("neither memory's IOVAs can be mapped or unmapped by the program", () => {
    const iova = window.iovaOf(two.va);
    refusedUnasked(session, "ERR_RESERVED", () => window.unmap({ iova, length: page }));
    refusedUnasked(session, "ERR_RESERVED", () => window.map({ va: own - page, length: page, iova: iova + 8n * page }));
    session.holds(6n * page);
  });
  test("one of them goes, and the other one stays as it was", () => {
    container.detach(memory);
    assert.is(window.translate(one.va), undefined);
    assert.is(window.iovaOf(two.va), window.start + 64n * page);
    session.holds(4n * page);
    memory.close();
    session.holds(4n * page, "after its end");
  });
}

/** More hugepages than there are, and all that there are. */
function exhausted(session: Session, shift: number, count: number): void {
  const pageSize = 1n << BigInt(shift);
  const container = session.open();
  const memory = session.table();
  const list = memory.addList({ pageSize, maxBytes: pageSize * BigInt(count + 1) });
  const window = session.create(container, planWindow({ memory, info: container.info() }));
  container.attach(memory);
  const available = () => readHugepages().find((pool) => pool.pageShift === shift)?.available;
  // sPAPR unpins a moment later (arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_release): after an RCU grace period.
  const settled = () => {
    for (let waited = 0; session.site.isSpapr && available() !== count && waited < PATIENCE_MS; waited += 10) sleep(10);
    return available();
  };
  test(`pages of 2^${shift} bytes: a list keeps space for more than there are, and takes none of them`, () => {
    assert.is(settled(), count);
  });
  test(`pages of 2^${shift} bytes: more than there are is refused, and nothing of it stays`, () => {
    const error = refused("ERR_KERNEL", () => memory.allocate(list, count + 1));
    assert.equal([error.errno, error.syscall], [ENOMEM, "mmap"]);
    assert.equal([memory.size, available()], [0, count]);
    says(window, []);
    session.holds(0n);
  });
  test(`pages of 2^${shift} bytes: all that there are can be had, and come back when they are freed`, () => {
    const segment = memory.allocate(list, count);
    assert.is(available(), 0);
    assert.is(window.liveBytes, segment.length);
    session.holds(segment.length);
    memory.free(segment);
    session.holds(0n);
    assert.is(settled(), count);
  });
}

function placeOf(window: Window, { va }: Segment): Place {
  return { va, iova: window.iovaOf(va) };
}
