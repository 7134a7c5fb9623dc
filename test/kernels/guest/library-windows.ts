/** Windows: several at a time, and those that the kernel does not make. */
import * as assert from "uvu/assert";
import { type Container, planWindow, type SpaprInfo, type Window } from "../../../src/index.ts";
import { refused, refusedUnasked, says } from "./library-checks.ts";
import { inSession, planFor, type Session, useOf } from "./library-session.ts";
import { test } from "./say.ts";
import { HIGH, MiB, type Site } from "./site.ts";
import type { Place } from "./traffic.ts";

const EINVAL = -22;

export function windows(site: Site): void {
  inSession(site, "several windows", several);
  if (site.isSpapr) inSession(site, "a window that the kernel does not make", notMade);
}

/** A window, and the container it is in. */
interface Pair {
  readonly container: Container;
  readonly low: Window;
  readonly high: Window;
  /** Memory that both can map, and where they have it. */
  readonly va: bigint;
  readonly length: bigint;
}

/**
 * Two windows with the same memory in both. An LPAR takes a second window beside one that is like its default window, and
 * makes only others at 1 << 59: so there the memory is a hugepage, by small pages in the one and as a whole in the other.
 */
function pairOf(session: Session): Pair {
  const [[shift] = []] = session.site.machine.hugepages;
  const lpar = session.site.machine.machine === "pseries";
  const pageSize = lpar && shift !== undefined ? 1n << BigInt(shift) : session.page;
  const container = session.open();
  const low = session.window(container, 16n * MiB);
  const high = session.window(container, 64n * MiB, pageSize);
  const length = lpar ? pageSize : 4n * pageSize;
  return { container, low, high, length, va: session.memory(length, lpar ? shift : undefined) };
}

function several(session: Session): void {
  const { site, page } = session;
  const pair = pairOf(session);
  const { container, low, high, va, length } = pair;
  test("two windows are in one container, each in its place", () => {
    assert.equal([low.start, high.start], [0n, site.isSpapr ? HIGH : 64n * MiB]);
    assert.equal(container.windows, [low, high]);
    session.holds(0n);
  });
  const [inLow, inHigh] = [low, high].map((window) => ({ va, iova: window.map({ va, length }), length })) as [
    Place & { length: bigint },
    Place & { length: bigint },
  ];
  const once = length;
  const twice = site.isSpapr ? length : 2n * length;
  test("memory is mapped in both, and a device moves bytes from one window to the other", () => {
    says(low, [inLow]);
    says(high, [inHigh]);
    session.holds(twice);
    const to = { va: va + page, iova: inHigh.iova + page };
    assert.is(session.traffic(inLow).copy(inLow, to), 0, "wrong bytes");
  });
  test("an unmap in one window leaves the other one as it was", () => {
    low.unmap({ iova: inLow.iova, length });
    says(low, []);
    says(high, [inHigh]);
    session.holds(once);
    const traffic = session.traffic(inHigh);
    assert.is(traffic.copy(inHigh, { va: va + page, iova: inHigh.iova + page }), 0, "wrong bytes");
    low.map({ va, length });
    session.holds(twice);
  });
  test("a memory is attached to the window that is named, and to none where none is", () => {
    const memory = session.table();
    const list = memory.addList({ pageSize: page, maxBytes: 8n * page });
    refused("ERR_WHICH_WINDOW", () => container.attach(memory));
    container.attach(memory, low);
    const segment = memory.allocate(list, 1);
    assert.equal([low.translate(segment.va) !== undefined, high.translate(segment.va)], [true, undefined]);
    session.holds(twice + page);
    container.detach(memory);
    session.holds(twice);
  });
  oneMore(session, pair);
  oneLess(session, pair, once);
}

/** A third window. */
function oneMore(session: Session, { container, low, high }: Pair): void {
  const { site, page } = session;
  if (site.isSpapr) {
    test("a third window is refused before the kernel is asked for it", () => {
      const before = session.locked;
      refused("ERR_NO_WINDOW_SLOT", () => session.window(container, MiB));
      assert.is(session.locked, before);
      assert.equal(container.windows, [low, high]);
    });
    return;
  }
  test("type1: as many windows as there is room for among the allowed IOVAs", () => {
    const third = session.window(container, 16n * MiB);
    assert.is(third.start, 16n * MiB, "the lowest place that is free");
    const vast = session.window(container, 1n << 47n, 2n * MiB);
    assert.is(vast.start, 1n << 47n);
    refused("ERR_NO_WINDOW_SLOT", () => session.window(container, 1n << 47n, 2n * MiB));
    const va = session.memory(page);
    const mine = { va, iova: third.map({ va, length: page }), length: page };
    says(third, [mine]);
    refusedUnasked(session, "ERR_OUTSIDE_WINDOW", () => third.map({ va, length: page, iova: low.start }));
    third.close();
    vast.close();
  });
}

/** One of two is closed, with a live map in it, and another one takes its place, where that may be. */
function oneLess(session: Session, { container, low, high, va, length }: Pair, once: bigint): void {
  const lpar = session.site.machine.machine === "pseries";
  const [pageSize, plan] = [1n << BigInt(high.pageShift), planFor(container, low.size, session.page)];
  test("a window is closed, and the memory that it shared with another stays there", () => {
    low.close();
    says(high, [{ va, iova: high.start, length }]);
    session.holds(once);
  });
  test(`its place ${lpar ? "is not taken again on an LPAR" : "is taken again"} while the other one is there`, () => {
    if (lpar) refused("ERR_NO_WINDOW_SLOT", () => session.create(container, plan));
    else assert.is(session.create(container, plan).start, 0n);
    session.holds(once);
  });
  test("the other one is closed and made again, beside one at 0", () => {
    high.close();
    session.holds(0n);
    if (lpar) session.create(container, plan);
    const again = session.window(container, 64n * MiB, pageSize);
    assert.is(again.start, session.site.isSpapr ? HIGH : 64n * MiB);
    again.map({ va, length });
    says(again, [{ va, iova: again.start, length }]);
    session.holds(length);
  });
}

/** sPAPR: the default window is gone by the time that the kernel says no, and has to be there again. */
function notMade(session: Session): void {
  const { page, site } = session;
  const container = session.open();
  const info = container.info() as SpaprInfo;
  const small = { lists: [{ base: 0n, length: 4096n, pageSize: 4096n }] };
  const theirs = planWindow({
    ...{ memory: small, growTo: info.defaultWindow.size },
    info: { ...info, pageSizes: 4096n },
  });
  const plan = planFor(container, 2n * info.defaultWindow.size, page);
  const elsewhere = { ...plan, iovaMode: "va", start: plan.start === 0n ? HIGH : 0n } as const;
  test("a window that the kernel puts where it cannot be used is given back, and the default window is there again", () => {
    assert.is(refused("ERR_WINDOW_ELSEWHERE", () => container.createWindow(elsewhere)).facts?.start, plan.start);
    assert.equal(container.windows, []);
    session.holds(theirs.chargeBytes);
  });
  // An LPAR's kernel would charge a table of several levels before it refuses it, and keep the charge.
  if (site.machine.machine === "powernv") {
    test("a window of more levels than the kernel makes is refused by it, and the default window is there again", () => {
      const error = refused("ERR_KERNEL", () => container.createWindow({ ...plan, levels: 6 }));
      assert.equal([error.errno, error.syscall], [EINVAL, "VFIO_IOMMU_SPAPR_TCE_CREATE"]);
      session.holds(theirs.chargeBytes);
    });
  }
  test("a plan for another IOMMU is refused before the kernel is asked", () => {
    refusedUnasked(session, "ERR_PLAN_MISFIT", () => container.createWindow({ ...plan, kind: "type1" }));
    session.holds(theirs.chargeBytes);
  });
  test("after refusals the window that was planned is made in place of the default one, and can be used", () => {
    const window = session.window(container, 16n * MiB);
    session.holds(0n);
    useOf(session, window);
  });
}
