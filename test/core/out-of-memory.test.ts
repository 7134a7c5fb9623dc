/** The end of the core's memory, 4 GiB: whatever needs more is refused and changes nothing. */
import * as assert from "uvu/assert";
import { type Core, NO_ADDRESS, Status } from "../../src/core.ts";
import { Type1KernelTwin } from "../reference/other-kernels.ts";
import type { Request } from "../reference/requests.ts";
import type { Twin } from "../reference/twin.ts";
import { Bench, fill } from "./drive.ts";
import { FullMemory } from "./full-memory.ts";
import { MemsegBench } from "./memseg-bench.ts";
import { eachBuild, freshCore, nullPageIsZero } from "./support.ts";

const PAGE = 4096n;
const M2 = 1n << 21n;
const MEMORY = 1n << 40n;
const START = 1n << 59n;
const shape = { start: START, size: 1n << 32n, pageShift: 12 };

/** Maps that begin and end amid slots of 2 MiB, and one of whole slots in another GiB. */
const requests: readonly Request[] = [
  { va: MEMORY + M2 - PAGE, iova: START + 5n * M2 - 3n * PAGE, length: 3n * M2, permission: 3 },
  { va: MEMORY + 40n * M2, iova: START + 40n * M2, length: PAGE, permission: 1 },
  { va: MEMORY + 1024n * M2, iova: START + 1024n * M2, length: 2n * M2, permission: 2 },
];

/** A container without an IOMMU takes a part of the same blocks. */
const containers: readonly (readonly [string, (core: Core) => Bench<Twin>])[] = [
  ["sPAPR", (core) => Bench.spapr(core, 12, shape)],
  ["type1", (core) => Bench.on(core, (windows) => new Type1KernelTwin(2, windows), shape)],
];

function statusOf(handle: number): number {
  return handle > 0 ? Status.OK : -handle;
}

/** Ends a prepared batch of maps of which no call was made. */
function abandon(core: Core, window: number): void {
  assert.is(core.collectMaps(), 0);
  core.prepareUndo();
  assert.is(core.callCount(), 0);
  core.collectUndo(window);
  assert.is(core.settleMaps(window), 0);
}

eachBuild("a full memory", (test, _core, build) => {
  /** Runs `prepare` and then fills the memory of a core of its own. */
  function full<T>(prepare: (core: Core) => T): [Core, T, FullMemory] {
    const core = freshCore(build);
    core.reserveRequests(64);
    const prepared = prepare(core);
    return [core, prepared, new FullMemory(core, 24)];
  }

  test("costs nothing while it is not touched", () => {
    const before = process.memoryUsage.rss();
    const [core] = full(() => undefined);
    assert.is(core.bytes().length, 2 ** 32);
    assert.is(core.acquireBytes(1), 0);
    assert.ok(process.memoryUsage.rss() - before < 64 << 20, "64 MiB and more were touched");
    assert.ok(nullPageIsZero(core));
  });

  for (const [name, open] of containers) {
    test(`has no room for maps on ${name}: at whichever block it ends, nothing is mapped or registered, and no block is lost`, () => {
      const [core, bench, memory] = full((each) => {
        // What stays once it is there: records of registrations, roots of tables, the list of calls.
        const warm = open(each);
        warm.map(requests);
        warm.unmap(requests);
        return warm;
      });
      for (const batch of [requests.slice(0, 1), requests]) {
        let inUse = 0n;
        const attempt = () => {
          inUse = core.bytesInUse();
          fill(core, batch);
          return core.prepareMaps(bench.handle(0), batch.length, 0);
        };
        const refused = () => {
          bench.check();
          assert.is(core.bytesInUse(), inUse);
        };
        const refusals = memory.starve(attempt, refused);
        assert.ok(refusals > 5, `the maps need more than ${refusals} blocks`);
        abandon(core, bench.handle(0));
        refused();
        memory.takeBack();
      }
      memory.give(24);
      assert.is(bench.map(requests), Status.OK);
      bench.close();
      assert.ok(nullPageIsZero(core));
    });
  }

  test("has no room for the first map of all: nothing is mapped or registered", () => {
    const [core, bench, memory] = full((each) => Bench.spapr(each, 12, shape));
    const attempt = () => {
      fill(core, requests);
      return core.prepareMaps(bench.handle(0), requests.length, 0);
    };
    assert.ok(memory.starve(attempt, () => bench.check()) > 5);
    abandon(core, bench.handle(0));
    bench.check();
    memory.give(24);
    bench.map(requests);
    bench.close();
  });

  test("has no room for the tables that an unmap amid a whole slot needs: all stays mapped", () => {
    const [core, bench, memory] = full((each) => {
      const mapped = Bench.spapr(each, 12, shape);
      // Whole slots, of IOVAs as of memory.
      mapped.map([{ va: MEMORY, iova: START, length: 64n * M2, permission: 3 }]);
      return mapped;
    });
    const parts = [1n, 9n, 20n].map((slot) => {
      const offset = slot * M2 + 7n * PAGE;
      return { va: MEMORY + offset, iova: START + offset, length: 2n * M2 };
    });
    const attempt = () => {
      fill(core, parts);
      return core.prepareUnmaps(bench.handle(0), parts.length, 0);
    };
    assert.ok(memory.starve(attempt, () => bench.check()) > 2);
    // No call is made.
    assert.is(core.settleUnmaps(bench.handle(0)), 0);
    bench.check();
    bench.unmap(parts);
    bench.close();
  });

  test("has no room for windows, containers, tables, lists and memsegs: nothing is there, and no block is lost", () => {
    const [core, { container, bench }, memory] = full((each) => {
      // Once before, so that what stays for ever is there: handle slots, the full chunk, the columns and roots of the table.
      const warm = new MemsegBench(each);
      warm.addList(0n, 1n << 32n, 12);
      warm.add(0, M2 - PAGE, 2n * PAGE, START);
      warm.remove(M2 - PAGE);
      return { container: each.containerOpen(12, 7), bench: warm };
    });
    const { table } = bench;
    let inUse = 0n;
    const counted = (attempt: () => number) => () => {
      inUse = core.bytesInUse();
      return attempt();
    };
    const nothingLost = () => {
      bench.checkWalks();
      assert.equal(bench.visit(), []);
      assert.is(core.bytesInUse(), inUse);
    };
    let opened = 0;
    const opening = (open: () => number) =>
      counted(() => {
        opened = open();
        return statusOf(opened);
      });

    assert.ok(
      memory.starve(
        opening(() => core.windowOpen(container, 0n, 1n << 22n, 12)),
        nothingLost,
      ) > 0,
    );
    core.windowClose(opened);
    nothingLost();
    memory.takeBack();
    assert.ok(
      memory.starve(
        opening(() => core.containerOpen(12, 7)),
        nothingLost,
      ) > 0,
    );
    core.containerClose(opened);
    memory.takeBack();
    assert.ok(
      memory.starve(
        opening(() => core.tableOpen()),
        nothingLost,
      ) > 0,
    );
    core.tableClose(opened);
    memory.takeBack();
    const listAdd = () => core.listAdd(table, 1n << 40n, 1n << 30n, 21, 0);
    assert.ok(memory.starve(opening(listAdd), nothingLost) > 0);
    core.listRemove(table, opened);
    nothingLost();
    memory.takeBack();
    const add = (iova: bigint) => counted(() => core.memsegAdd(table, 0, M2 - PAGE, iova, 2n * PAGE));
    const unknown = memory.starve(add(NO_ADDRESS), nothingLost);
    assert.ok(unknown > 2);
    assert.is(core.memsegRemove(table, M2 - PAGE), Status.OK);
    nothingLost();
    memory.takeBack();
    assert.ok(memory.starve(add(START), nothingLost) > unknown, "a memseg that states an IOVA needs more");
    assert.is(core.memsegTranslate(table, M2), START + PAGE);
    assert.is(core.memsegRemove(table, M2 - PAGE), Status.OK);
    nothingLost();
    memory.takeBack();
    bench.close();
    assert.is(core.containerClose(container), Status.OK);
  });

  test("has no room to set pages aside, nor to give back a part of what is: it stays as it was", () => {
    const [core, bench, memory] = full((each) => {
      const reserved = Bench.spapr(each, 12, { ...shape, size: 4n * (32768n << 12n) });
      reserved.reserve(0, START + (32768n << 12n), 2n * (32768n << 12n));
      return reserved;
    });
    const window = bench.handle(0);
    const hole = core.windowLargestHole(window);
    const unchanged = () => assert.is(core.windowLargestHole(window), hole);
    const apart = START + PAGE;
    assert.ok(memory.starve(() => core.windowReserve(window, apart, PAGE), unchanged) > 0);
    assert.is(core.windowUnreserve(window, apart, PAGE), Status.OK);
    memory.takeBack();
    const middle = START + (65530n << 12n);
    assert.ok(memory.starve(() => core.windowUnreserve(window, middle, 12n * PAGE), unchanged) > 1);
    assert.is(core.windowReserve(window, middle, 12n * PAGE), Status.OK);
    unchanged();
  });

  test("has no room for more requests: the columns that are there stay", () => {
    const [core] = full(() => undefined);
    const column = core.vaColumn();
    core.u64(column, 64)[63] = 63n;
    for (const count of [65, 100_000, 2 ** 27, 2 ** 31, 2 ** 32 - 1]) assert.is(core.reserveRequests(count), 0);
    assert.is(core.reserveRequests(64), 1);
    assert.is(core.vaColumn(), column);
    assert.is(core.u64(column, 64)[63], 63n);
  });

  test("is not what a map or a memseg beyond all bounds leaves behind: it is refused at once, and nothing is taken", () => {
    const core = freshCore(build);
    const bench = Bench.spapr(core, 12, { start: 0n, size: 1n << 63n, pageShift: 30 });
    const table = core.tableOpen();
    assert.is(core.listAdd(table, 0n, 1n << 63n, 30, 0), 0);
    const inUse = core.bytesInUse();
    for (const length of [1n << 50n, 1n << 55n, 1n << 62n]) {
      fill(core, [{ va: 0n, iova: 0n, length, permission: 3 }]);
      assert.is(core.prepareMaps(bench.handle(0), 1, 0), Status.OUT_OF_MEMORY);
      assert.is(core.memsegAdd(table, 0, 0n, NO_ADDRESS, length), Status.OUT_OF_MEMORY);
      bench.check();
    }
    assert.ok(core.bytesInUse() - inUse < 1n << 20n, "a MiB and more are in use");
    assert.ok(core.bytes().length < 64 << 20, `${core.bytes().length} bytes were taken`);
  });
});
