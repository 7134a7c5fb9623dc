/** Two devices, in two groups: one memory in two containers, and two groups in one container. */
import * as assert from "uvu/assert";
import { type Container, openContainer, type Segment, type Window } from "../../../src/index.ts";
import { refused, says } from "./library-checks.ts";
import { inSession, type Session } from "./library-session.ts";
import { test } from "./say.ts";
import { MiB, type Site } from "./site.ts";
import type { Place } from "./traffic.ts";

const EINVAL = -22;

export function sharing(site: Site): void {
  inSession(site, "one memory in two containers", oneMemory);
  inSession(site, "the same pages in two containers", samePages);
  inSession(site, "two groups in one container", oneContainer);
}

function placeOf(window: Window, { va }: Segment, offset = 0n): Place {
  return { va: va + offset, iova: window.iovaOf(va + offset) };
}

/**
 * What a memory locks that is mapped in several containers: sPAPR counts what a process has registered once
 * (arch/powerpc/mm/book3s64/iommu_api.c: mm_iommu_do_alloc), type1 counts every container
 * (drivers/vfio/vfio_iommu_type1.c: vfio_lock_acct).
 */
function lockedIn({ site }: Session, containers: bigint, bytes: bigint): bigint {
  return site.isSpapr ? bytes : containers * bytes;
}

function oneMemory(session: Session): void {
  const { page } = session;
  const containers = [session.open(0), session.open(1)] as [Container, Container];
  const roomy = session.window(containers[0], 16n * MiB);
  const tight = session.window(containers[1], 64n * page);
  const memory = session.table();
  const list = memory.addList({ pageSize: page, maxBytes: 64n * page });
  const early = memory.allocate(list, 2);
  for (const container of containers) container.attach(memory);
  const later = memory.allocate(list, 4);
  const all = 6n * page;
  test("a memory in two containers is mapped in both, also what comes later", () => {
    for (const window of [roomy, tight]) says(window, [{ va: early.va, iova: window.start, length: all }]);
    session.holds(lockedIn(session, 2n, all));
  });
  test("both devices reach it: what one has written, the other one reads", () => {
    const first = session.traffic(placeOf(roomy, early, page), 0);
    const second = session.traffic(placeOf(tight, early, page), 1);
    assert.is(first.copy(placeOf(roomy, early), placeOf(roomy, later)), 0, "wrong bytes of the first");
    assert.is(second.copy(placeOf(tight, later), placeOf(tight, later, 2n * page)), 0, "wrong bytes of the second");
  });
  test("a list that the second container has no room for is not added, and the first one forgets it", () => {
    const hole = roomy.largestHole;
    refused("ERR_NO_HOLE", () => memory.addList({ pageSize: page, maxBytes: page }));
    assert.equal([memory.lists.length, roomy.largestHole], [1, hole]);
    session.holds(lockedIn(session, 2n, all));
  });
  test("what is freed is gone in both", () => {
    const [one, two] = [placeOf(roomy, later), placeOf(tight, later)];
    memory.free(later);
    session.holds(lockedIn(session, 2n, 2n * page));
    for (const window of [roomy, tight]) says(window, [{ va: early.va, iova: window.start, length: 2n * page }]);
    const other = session.site.kernel.mmap(one.va, page, 3, 1, 0);
    assert.is(other, one.va, "other memory at the address");
    assert.is(session.traffic(placeOf(roomy, early), 0).writes(one), false, "written by the first");
    assert.is(session.traffic(placeOf(tight, early), 1).writes(two), false, "written by the second");
  });
  session.closeDevices();
  test("one container is closed, and the other one still has the memory", () => {
    containers[0].close();
    session.holds(2n * page);
    says(tight, [{ va: early.va, iova: tight.start, length: 2n * page }]);
    const traffic = session.traffic(placeOf(tight, early), 1);
    assert.is(traffic.copy(placeOf(tight, early), placeOf(tight, early, page)), 0, "wrong bytes");
  });
}

/** A process registers memory on sPAPR in the same ranges everywhere, or not at all. */
function samePages(session: Session): void {
  const { page } = session;
  const windows = [0, 1].map((index) => session.window(session.open(index), 16n * MiB)) as [Window, Window];
  const va = session.memory(4n * page);
  const iova = windows[0].map({ va, length: 4n * page });
  test("the same range of memory is mapped in two containers", () => {
    windows[1].map({ va, length: 4n * page });
    session.holds(lockedIn(session, 2n, 4n * page));
    windows[1].unmap({ iova: windows[1].iovaOf(va), length: 4n * page });
    session.holds(4n * page);
  });
  test(`a part of it ${session.site.isSpapr ? "is refused by the kernel" : "too"}, and nothing else is changed`, () => {
    const part = { va: va + page, length: page };
    if (session.site.isSpapr) {
      const error = refused("ERR_KERNEL", () => windows[1].map(part));
      assert.equal([error.errno, error.syscall], [EINVAL, "VFIO_IOMMU_SPAPR_REGISTER_MEMORY"]);
      assert.match(error.message, "another container");
      says(windows[1], []);
      session.holds(4n * page);
    } else {
      windows[1].map(part);
      session.holds(5n * page);
    }
    says(windows[0], [{ va, iova, length: 4n * page }]);
  });
}

function oneContainer(session: Session): void {
  const { page, site } = session;
  if (site.machine.machine === "pseries") {
    test("an LPAR's container holds one group, and both can be opened after the refusal", () => {
      const groups = [0, 1].map((index) => site.device(index).group);
      refused("ERR_ONE_GROUP", () => openContainer({ kernel: session.kernel, groups }));
      for (const index of [0, 1]) session.open(index);
      session.holds(0n);
    });
    return;
  }
  const window = session.window(session.open(0, 1), 16n * MiB);
  const va = session.memory(4n * page);
  const iova = window.map({ va, length: 4n * page });
  const places = [0n, 1n, 2n, 3n].map((i) => ({ va: va + i * page, iova: iova + i * page }));
  const [a, b, c, scratch] = places as [Place, Place, Place, Place];
  const traffic = [0, 1].map((index) => session.traffic(scratch, index));
  test("two groups in one container: memory is mapped and locked once, and both devices reach it", () => {
    says(window, [{ va, iova, length: 4n * page }]);
    session.holds(4n * page);
    assert.equal([traffic[0]?.copy(a, b), traffic[1]?.copy(b, c)], [0, 0], "wrong bytes");
  });
  test("two groups in one container: after an unmap neither device reaches it", () => {
    const other = session.memory(page);
    window.unmap({ iova, length: 4n * page });
    const kept = window.map({ va: other, length: page, iova: iova + 8n * page });
    for (const index of [0, 1])
      assert.is(session.traffic({ va: other, iova: kept }, index).writes(a), false, `written by device ${index}`);
    session.holds(page);
  });
}
