/** The program's own memory: maps one by one and in batches, where they go, what a device may do there, and their end. */
import * as assert from "uvu/assert";
import type { MappedRun, MapRequest, Window } from "../../../src/index.ts";
import { longestFree, refused, says } from "./library-checks.ts";
import { inSession, type Session } from "./library-session.ts";
import { test } from "./say.ts";
import { MiB, type Site } from "./site.ts";
import type { Place } from "./traffic.ts";

/** More than `maps()` takes from the tables at a time. */
const BATCHES = [1, 16, 1200];

export function maps(site: Site): void {
  for (const count of BATCHES) inSession(site, `a batch of ${count}`, (session) => batch(session, count));
  inSession(site, "IOVAs of the program's choice", places);
  inSession(site, "permissions", permissions);
  inSession(site, "parts of a run", parts);
  inSession(site, "parts of a map", partsOfOne);
}

/** Pages of one piece of memory, the last first: none is its neighbour's continuation, so each is a run of its own. */
function batch(session: Session, count: number): void {
  const { page } = session;
  const window = session.window(session.open(), 128n * MiB);
  const va = session.memory(BigInt(count) * page);
  const vas = Array.from({ length: count }, (_, i) => va + BigInt(count - 1 - i) * page);
  const calls = session.kernel.calls;
  const iovas = window.mapMany(vas.map((one) => ({ va: one, length: page })));
  const done = vas.map((one, i): MappedRun => ({ va: one, iova: iovas[i] as bigint, length: page }));
  test(`a batch of ${count} is mapped in one call, at the lowest IOVAs, and locked to the byte`, () => {
    assert.is(session.kernel.calls - calls, 1);
    assert.equal(
      iovas,
      vas.map((_, i) => window.start + BigInt(i) * page),
    );
    says(window, done);
    assert.is(window.largestHole, longestFree(window, done));
    session.holds(BigInt(count) * page);
  });
  const [first, last] = [done[0] as Place, done.at(-1) as Place];
  const traffic = session.traffic(done[1] ?? last);
  if (count > 1) {
    test(`a batch of ${count}: a device moves bytes from its first page to its last`, () => {
      assert.is(traffic.copy(first, last), 0, "wrong bytes");
    });
  }
  test(`a batch of ${count}: half of it is unmapped in one call, and the other half stays as it was`, () => {
    const [even, odd] = [0, 1].map((rest) => done.filter((_, i) => i % 2 === rest)) as [MappedRun[], MappedRun[]];
    const before = session.kernel.calls;
    window.unmapMany(even);
    assert.is(session.kernel.calls - before, 1);
    says(window, odd);
    assert.is(window.largestHole, longestFree(window, odd));
    session.holds(BigInt(odd.length) * page);
    if (count > 1) assert.is(traffic.writes(first), false, "a page that was unmapped is written");
    if (count > 1) assert.is(traffic.reads(last), true, "a page that is still mapped is read");
    window.unmapMany(odd.reverse());
    says(window, []);
    session.holds(0n);
  });
}

function places(session: Session): void {
  const { page } = session;
  const window = session.window(session.open(), 16n * MiB);
  const va = session.memory(8n * page);
  const last = window.start + window.size - page;
  const middle = window.start + window.size / 2n;
  const requests: (MappedRun & MapRequest)[] = [
    { va: va + page, length: page, iova: last },
    { va: va + 4n * page, length: 3n * page, iova: middle },
    { va, length: page, iova: window.start },
  ];
  test("maps go where the program says: to the first page, the last, and between", () => {
    const lengths = requests.map((one) => ({ ...one, length: Number(one.length) }));
    assert.equal(
      window.mapMany(lengths),
      requests.map(({ iova }) => iova),
    );
    says(window, requests);
    assert.is(window.largestHole, longestFree(window, requests));
    session.holds(5n * page);
    assert.is(session.traffic(requests[2] as Place).copy(requests[0] as Place, requests[1] as Place), 0, "wrong bytes");
  });
  test("beside them the window chooses the lowest IOVAs that are free", () => {
    assert.is(window.map({ va: va + 2n * page, length: 2n * page }), window.start + page);
    says(window, [...requests, { va: va + 2n * page, iova: window.start + page, length: 2n * page }]);
    session.holds(7n * page);
  });
  test("a window with live maps in it can be closed, and nothing of them stays", () => {
    window.close();
    session.holds(0n);
  });
}

/** Every request of a batch has its own. What a device may read that it may only write is the IOMMU's business. */
function permissions(session: Session): void {
  const { page } = session;
  const window = session.window(session.open(), 16n * MiB);
  const va = session.memory(4n * page);
  const asked = [{}, { write: false }, { read: false }, {}].map((allowed, i) => ({
    ...{ va: va + BigInt(i) * page, length: page },
    ...allowed,
  }));
  const iovas = window.mapMany(asked);
  const [scratch, toRead, toWrite, both] = asked.map((one, i) => ({ va: one.va, iova: iovas[i] as bigint })) as [
    Place,
    Place,
    Place,
    Place,
  ];
  const traffic = session.traffic(scratch);
  test("in one batch each map has its own permissions", () => {
    const written = [toRead, toWrite, both].map((place) => traffic.writes(place));
    assert.equal(written, [false, true, true], "written");
    assert.equal([traffic.reads(toRead), traffic.reads(both)], [true, true], "read");
    session.holds(4n * page);
  });
}

/** Three maps, one behind the other, of which the one in the middle goes and comes back. */
function parts(session: Session): void {
  const { page } = session;
  const window = session.window(session.open(), 16n * MiB);
  const length = 2n * page;
  const va = session.memory(3n * length);
  const pieces = [0n, 1n, 2n].map((i) => ({ va: va + i * length, iova: window.start + i * length, length }));
  const [first, middle, last] = pieces as [MappedRun, MappedRun, MappedRun];
  window.mapMany(pieces);
  const traffic = session.traffic(first);
  test("neighbours are one run, of which a part can be unmapped that was mapped as such", () => {
    assert.is([...window.maps()].length, 1);
    window.unmap({ iova: middle.iova, length });
    says(window, [first, last]);
    session.holds(2n * length);
    assert.equal([traffic.writes(middle), traffic.writes(last)], [false, true], "written");
  });
  test("the part can be mapped again, and the run unmapped as one", () => {
    assert.is(window.map({ va: middle.va, length }), middle.iova);
    says(window, pieces);
    session.holds(3n * length);
    assert.is(traffic.writes(middle), true, "written");
    window.unmap({ iova: first.iova, length: 3n * length, va });
    says(window, []);
    session.holds(0n);
  });
}

/** sPAPR unmaps page by page, and locks as long as anything of a map is left. type1 unmaps as a whole. */
function partsOfOne(session: Session): void {
  const { page, site } = session;
  const window = session.window(session.open(), 16n * MiB);
  const va = session.memory(3n * page);
  const pages = [0n, 1n, 2n].map((i) => ({ va: va + i * page, iova: window.start + i * page, length: page }));
  const [first, middle, last] = pages as [MappedRun, MappedRun, MappedRun];
  window.map({ va, length: 3n * page });
  if (!site.isSpapr) {
    test("type1: a part of a map cannot be unmapped, and the map is told", () => {
      const error = refused("ERR_CUTS_MAP", () => window.unmap({ iova: middle.iova, length: page }));
      assert.equal([error.facts?.mapIova, error.facts?.mapLength], [first.iova, 3n * page]);
      says(window, pages);
      session.holds(3n * page);
    });
    return;
  }
  const traffic = session.traffic(first);
  test("sPAPR: a part of a map is unmapped, and all of its memory stays locked", () => {
    window.unmap({ iova: middle.iova, length: page });
    says(window, [first, last]);
    session.holds(3n * page);
    assert.equal([traffic.writes(middle), traffic.writes(last)], [false, true], "written");
  });
  test("sPAPR: memory that is locked still is mapped again without being locked twice", () => {
    remap(window, middle);
    says(window, pages);
    session.holds(3n * page);
    assert.is(traffic.writes(middle), true, "written");
  });
  test("sPAPR: when the last part of a map goes its memory is not locked any more", () => {
    for (const { iova } of [middle, first]) window.unmap({ iova, length: page });
    session.holds(3n * page);
    window.unmap({ iova: last.iova, length: page });
    says(window, []);
    session.holds(0n);
  });
}

function remap(window: Window, { va, iova, length }: MappedRun): void {
  assert.is(window.map({ va, length, iova }), iova);
}
