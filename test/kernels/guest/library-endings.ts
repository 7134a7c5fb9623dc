/** Windows, containers and memories that end with everything still in them, in every order. */
import * as assert from "uvu/assert";
import { planWindow } from "../../../src/index.ts";
import { refused, refusedUnasked, says } from "./library-checks.ts";
import { inSession, type Session, useOf } from "./library-session.ts";
import { test } from "./say.ts";
import { MiB, type Site } from "./site.ts";

const EBUSY = -16;

export function endings(site: Site): void {
  inSession(site, "a window that is closed in the middle", closedWindow);
  inSession(site, "a container that is closed in the middle", closedContainer);
  inSession(site, "ends in the wrong order", wrongOrder);
}

/** A window with a memory attached to it, the program's own maps, and nothing else. */
function inUse(session: Session) {
  const { page } = session;
  const container = session.open();
  const memory = session.table();
  const list = memory.addList({ pageSize: page, maxBytes: 32n * page });
  const plan = planWindow({ memory, info: container.info(), growTo: 16n * MiB });
  const window = session.create(container, plan);
  container.attach(memory);
  const segment = memory.allocate(list, 4);
  const va = session.memory(3n * page);
  window.mapMany([0n, 1n, 2n].map((i) => ({ va: va + (2n - i) * page, length: page })));
  session.holds(7n * page);
  return { container, memory, list, plan, window, segment, va };
}

function closedWindow(session: Session): void {
  const { page } = session;
  const { container, memory, list, plan, window, segment, va } = inUse(session);
  test("a window is closed with live maps in it and a memory attached: all of it is unmapped, and nothing is locked", () => {
    window.close();
    assert.is(session.locked, 0n);
    assert.equal([window.closed, container.windows], [true, []]);
    window.close();
  });
  test("a window that is closed says so", () => {
    for (const ask of [
      () => window.map({ va, length: page }),
      () => window.unmap({ iova: window.start, length: page }),
      () => window.translate(va),
      () => [...window.maps()],
      () => window.liveBytes,
      () => container.attach(memory, window),
    ])
      refusedUnasked(session, "ERR_CLOSED", ask);
    refusedUnasked(session, "ERR_NO_WINDOW", () => container.attach(memory));
  });
  test("the memory is the program's alone then: it comes and goes unmapped", () => {
    memory.free(memory.allocate(list, 2));
    assert.equal([memory.bytes, session.locked], [segment.length, 0n]);
  });
  test("another window is made in the same container, and holds the same memory at the same IOVAs", () => {
    const again = session.create(container, plan);
    container.attach(memory);
    says(again, [{ va: segment.va, iova: again.start, length: segment.length }]);
    session.holds(segment.length);
    useOf(session, again, segment.length);
  });
}

function closedContainer(session: Session): void {
  const { page } = session;
  const { container, memory, window, segment, va } = inUse(session);
  test("a container is closed with everything in it: nothing is locked, and its group can be opened again", () => {
    container.close();
    assert.is(session.locked, 0n);
    assert.equal([container.closed, window.closed], [true, true]);
    container.close();
  });
  test("a container that is closed says so, and so does its window", () => {
    refusedUnasked(session, "ERR_CLOSED", () => container.info());
    refusedUnasked(session, "ERR_CLOSED", () => window.map({ va, length: page }));
    refusedUnasked(session, "ERR_CLOSED", () => container.detach(memory));
    window.close();
  });
  test("its memory goes on in another container", () => {
    const another = session.open();
    const next = session.window(another, 16n * MiB);
    another.attach(memory);
    says(next, [{ va: segment.va, iova: next.start, length: segment.length }]);
    session.holds(segment.length);
    useOf(session, next, segment.length);
  });
}

function wrongOrder(session: Session): void {
  const { container, memory, window, segment, plan } = inUse(session);
  test("a group that a container holds cannot be opened by another one", () => {
    assert.is(refused("ERR_KERNEL", () => session.open()).errno, EBUSY);
    session.holds(7n * session.page);
  });
  test("a memory that is attached cannot be closed, and nothing of it has gone", () => {
    refusedUnasked(session, "ERR_ATTACHED", () => memory.close());
    assert.is(window.iovaOf(segment.va), window.start);
    session.holds(7n * session.page);
  });
  test("container, then memory, then its segments and the window: each says what it is, and nothing is locked", () => {
    container.close();
    memory.close();
    assert.is(segment.freed, true);
    refusedUnasked(session, "ERR_FREED", () => memory.free(segment));
    refusedUnasked(session, "ERR_CLOSED", () => container.createWindow(plan));
    window.close();
    memory.close();
    assert.is(session.locked, 0n);
  });
}
