/** Handles that name nothing: every export that takes one says so and changes nothing. */
import * as assert from "uvu/assert";
import { type Core, NO_ADDRESS, Status } from "../../src/core.ts";
import { agree, eachBuild } from "./support.ts";

type Ask = (core: Core, handle: number) => number | bigint;

const unknown = Status.UNKNOWN_HANDLE;

/** Three columns of one row each. */
function columns(core: Core): [number, number, number] {
  const at = core.structScratch();
  return [at, at + 8, at + 16];
}

/** Every export that takes a handle, and what it answers to one that names nothing of its kind. */
const asks: Readonly<Record<"table" | "container" | "window", readonly (readonly [Ask, number | bigint])[]>> = {
  table: [
    [(core, table) => core.tableClose(table), unknown],
    [(core, table) => core.listAdd(table, 0n, 4096n, 12, 0), -unknown],
    [(core, table) => core.listRemove(table, 0), unknown],
    [(core, table) => core.listFreePages(table, 0, 1n), NO_ADDRESS],
    [(core, table) => core.memsegAdd(table, 0, 0n, 0n, 4096n), unknown],
    [(core, table) => core.memsegRemove(table, 0n), unknown],
    [(core, table) => core.memsegFind(table, 0n), -1],
    [(core, table) => core.memsegNext(table, 0n, NO_ADDRESS), -1],
    [(core, table) => core.memsegVa(table, 0), 0n],
    [(core, table) => core.memsegLength(table, 0), 0n],
    [(core, table) => core.memsegIova(table, 0), NO_ADDRESS],
    [(core, table) => core.memsegList(table, 0), -1],
    [(core, table) => core.memsegTranslate(table, 0n), NO_ADDRESS],
    [(core, table) => core.memsegTranslateMany(table, core.structScratch(), core.structScratch(), 1), 0],
    [(core, table) => core.tableTables(table), 0],
    [(core, table) => core.walkHighestMemseg(table), 0],
    [(core, table) => core.walkSmallestPage(table), 0],
    [(core, table) => core.memsegCount(table), 0],
    [(core, table) => core.memsegBytes(table), 0n],
    [(core, table) => core.knownCount(table), 0],
    [(core, table) => core.knownBytes(table), 0n],
  ],
  container: [
    [(core, container) => core.containerClose(container), unknown],
    [(core, container) => core.containerRegistrations(container), 0],
    [(core, container) => core.containerPieceStart(container, 0n), NO_ADDRESS],
    [(core, container) => core.containerPieceLength(container, 0n), 0n],
    [(core, container) => core.containerHasIdle(container), 0],
    [(core, container) => core.windowOpen(container, 0n, 4096n, 12), -unknown],
    [(core, container) => core.prepareIdle(container), unknown],
    [(core, container) => core.settleIdle(container), unknown],
  ],
  window: [
    [(core, window) => core.windowClose(window), unknown],
    [(core, window) => core.windowForget(window), unknown],
    [(core, window) => core.windowContains(window, 0n, 1n), 0],
    [(core, window) => core.windowHeadroom(window, 0n), 0n],
    [(core, window) => core.windowTceIndex(window, 0n), NO_ADDRESS],
    [(core, window) => core.windowLiveTces(window), 0n],
    [(core, window) => core.windowFirstFit(window, 1n, 0), NO_ADDRESS],
    [(core, window) => core.windowLargestHole(window), 0n],
    [(core, window) => core.windowReserve(window, 0n, 4096n), unknown],
    [(core, window) => core.windowUnreserve(window, 0n, 4096n), unknown],
    [(core, window) => core.windowTranslate(window, 0n), NO_ADDRESS],
    [(core, window) => core.windowReverse(window, 0n), NO_ADDRESS],
    [(core, window) => core.windowTranslateMany(window, core.structScratch(), core.structScratch(), 1), 0],
    [(core, window) => core.windowCheckMany(window, ...columns(core), 1), 0],
    [(core, window) => core.windowTables(window), 0],
    [(core, window) => core.prepareMaps(window, 1, 0), unknown],
    [(core, window) => core.settleMaps(window), -unknown],
    [(core, window) => core.prepareUnmaps(window, 1, 0), unknown],
    [(core, window) => core.settleUnmaps(window), -unknown],
    [(core, window) => core.listMaps(window, 0n, 1), -unknown],
  ],
};

eachBuild("handles", (test, core) => {
  test("that are 0, negative, never given, closed, or of another kind are refused, and nothing changes", () => {
    const open = { table: core.tableOpen(), container: core.containerOpen(12, 7), window: 0 };
    open.window = core.windowOpen(open.container, 0n, 1n << 20n, 12);
    const list = core.listAdd(open.table, 0n, 1n << 20n, 12, 0);
    core.memsegAdd(open.table, list, 0n, 0n, 4096n);
    core.windowReserve(open.window, 0n, 4096n);
    const closed = { table: core.tableOpen(), container: core.containerOpen(12, 7), window: 0 };
    closed.window = core.windowOpen(closed.container, 0n, 1n << 20n, 12);
    core.windowClose(closed.window);
    core.containerClose(closed.container);
    core.tableClose(closed.table);
    core.reserveRequests(4);

    const none = [0, -1, 1, 0xffff, 0x10000 + 1000, 0x7fff_ffff, -(2 ** 31), ...Object.values(closed)];
    const before = core.bytes().slice();
    const inUse = core.bytesInUse();
    for (const kind of ["table", "container", "window"] as const) {
      const others = Object.entries(open).filter(([each]) => each !== kind);
      for (const handle of [...none, ...others.map(([, each]) => each)]) {
        for (const [ask, answer] of asks[kind]) agree(ask(core, handle), answer, () => `${ask} of ${handle}`);
      }
    }
    assert.is(Buffer.compare(before, core.bytes()), 0, "a byte of the memory has changed");
    assert.is(core.bytesInUse(), inUse);

    assert.is(core.windowClose(open.window), Status.OK);
    assert.is(core.containerClose(open.container), Status.OK);
    assert.is(core.tableClose(open.table), Status.OK);
  });

  test("are asked for by every export that has a handle as its first parameter", () => {
    const named = Object.values(asks)
      .flat()
      .map(([ask]) => /core\.(\w+)\(/.exec(String(ask))?.[1]);
    const takers = Object.keys(core).filter((name) =>
      /^(table|list|memseg|known|walk(?!Last|PageShift)|container|window|prepare(?!Undo)|settle)/.test(name),
    );
    const expected = takers.filter((name) => !["tableOpen", "containerOpen"].includes(name));
    assert.equal(named.sort(), expected.sort());
  });

  test("are never the same for two objects that are open, nor again soon after one was closed", () => {
    const open = new Set<number>();
    for (let i = 0; i < 500; i++) open.add(core.tableOpen());
    assert.is(open.size, 500);
    for (const handle of open) assert.is(core.tableClose(handle), Status.OK);
    for (let i = 0; i < 500; i++) {
      const again = core.tableOpen();
      assert.ok(again > 0 && !open.has(again));
      open.add(again);
    }
    for (const handle of open) core.tableClose(handle);
  });

  test("of a slot whose generations are used up are never given again", () => {
    const first = core.containerOpen(12, 7);
    core.containerClose(first);
    const slot = first & 0xffff;
    let last = first;
    let seen = 1;
    for (let i = 0; i < 40000; i++) {
      last = core.containerOpen(12, 7);
      assert.ok(last > 0);
      assert.is.not(last, first);
      if ((last & 0xffff) === slot) seen++;
      core.containerClose(last);
    }
    assert.is.not(last & 0xffff, slot, "the slot is retired");
    assert.ok(seen <= 0x7fff);
    assert.is(core.containerClose(first), Status.UNKNOWN_HANDLE);
  });

  test("of windows that are forgotten with maps in them are gone, and their container can close", () => {
    const run = () => {
      const container = core.containerOpen(12, 7);
      const window = core.windowOpen(container, 0n, 1n << 20n, 12);
      core.reserveRequests(1);
      core.u64(core.vaColumn(), 1)[0] = 0x10000n;
      core.u64(core.iovaColumn(), 1)[0] = 0x3000n;
      core.u64(core.lengthColumn(), 1)[0] = 0x5000n;
      core.u32(core.permissionColumn(), 1)[0] = 3;
      assert.is(core.prepareMaps(window, 1, 0), Status.OK);
      for (let k = 0; k < core.callCount(); k++) core.u32(core.callTable() + k * 16, 4)[2] = 0;
      assert.is(core.collectMaps(), 1);
      assert.is(core.settleMaps(window), 1);
      assert.is(core.windowClose(window), Status.BUSY);
      assert.is(core.windowLiveTces(window), 5n);
      assert.is(core.windowForget(window), Status.OK);
      assert.is(core.windowForget(window), Status.UNKNOWN_HANDLE);
      assert.is(core.containerClose(container), Status.OK);
      return core.bytesInUse();
    };
    assert.is(run(), run());
  });
});
