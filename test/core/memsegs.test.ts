/** Lists and memsegs: what is refused, and what a table then says. */
import * as assert from "uvu/assert";
import { ListFlag, NO_ADDRESS, Status } from "../../src/core.ts";
import { MemsegBench } from "./memseg-bench.ts";
import { eachBuild, edges, forSeeds } from "./support.ts";

const TWO_64 = 1n << 64n;
const M2 = 1n << 21n;

eachBuild("memsegs", (test, core) => {
  /** Runs `use` on a table that is empty at first, and fails if anything is left of it when it is closed. */
  function withTable(use: (bench: MemsegBench) => void): void {
    const before = core.bytesInUse();
    const bench = new MemsegBench(core);
    use(bench);
    bench.close();
    assert.is(core.bytesInUse(), before);
  }

  test("leave nothing behind when their table is closed, however it is closed the first time", () => {
    // Opens what stays for ever: handle slots and the chunk in which all bits are set.
    new MemsegBench(core).close();
    const first = new MemsegBench(core);
    first.addList(0n, 1n << 40n, 12);
    first.close();
    withTable((bench) => {
      bench.addList(0n, 1n << 40n, 12);
      bench.add(0, 1n << 30n, 5n << 12n);
    });
  });

  test("are in lists that are refused for every edge value as their twin refuses them", () => {
    withTable((bench) => {
      for (const pageShift of [0, 11, 12, 21, 30, 40, 41]) {
        for (const base of edges) {
          for (const length of edges) {
            const index = bench.addList(base, length, pageShift);
            if (index >= 0) assert.is(bench.removeList(index), Status.OK);
          }
        }
      }
    });
  });

  test("are refused for every edge value as their twin refuses them, and stay where they are not", () => {
    for (const [base, length, pageShift] of [
      [0n, 1n << 33n, 12],
      [1n << 59n, 1n << 40n, 21],
      [TWO_64 - (1n << 32n), 1n << 32n, 16],
    ] as const) {
      withTable((bench) => {
        bench.addList(base, length, pageShift);
        const near = [-4096n, -1n, 0n, 1n, 4096n].flatMap((by) => [base + by, base + length + by, base + 3n * M2 + by]);
        const addresses = [...edges, ...near.map((each) => BigInt.asUintN(64, each))];
        for (const va of addresses) {
          for (const bytes of [0n, 1n, 4096n, M2 - 1n, M2, 1n << 30n, length, length + 4096n, TWO_64 - 4096n]) {
            for (const iova of [NO_ADDRESS, 0n, 1n, 4096n, M2, TWO_64 - M2, TWO_64 - 2n]) {
              if (bench.add(0, va, bytes, iova) === Status.OK) {
                bench.check();
                assert.is(bench.remove(va), Status.OK);
              }
            }
          }
        }
        bench.check();
      });
    }
  });

  test("cannot overlap by a single page at either end, inside or around, not even where their lists do", () => {
    withTable((bench) => {
      assert.is(bench.addList(16n * M2, 16n * M2, 21), 0);
      assert.is(bench.addList(0n, 64n * M2, 21), 1);
      assert.is(bench.add(0, 20n * M2, 4n * M2), Status.OK);
      for (const [va, length] of [
        [19n * M2, 2n * M2],
        [23n * M2, 2n * M2],
        [21n * M2, M2],
        [18n * M2, 8n * M2],
        [20n * M2, 4n * M2],
      ] as const) {
        assert.is(bench.add(0, va, length), Status.OVERLAPS);
        assert.is(bench.add(1, va, length), Status.OVERLAPS);
      }
      assert.is(bench.add(0, 19n * M2, M2), Status.OK);
      assert.is(bench.add(0, 24n * M2, M2), Status.OK);
      bench.check();
    });
  });

  test("keep their list from being removed; the index of the last one that went is the next to be given", () => {
    withTable((bench) => {
      for (const base of [0n, 1n, 2n, 3n]) bench.addList(base << 30n, 1n << 30n, 21);
      bench.add(1, 1n << 30n, M2);
      assert.is(bench.removeList(1), Status.BUSY);
      assert.is(bench.remove(1n << 30n), Status.OK);
      assert.is(bench.removeList(1), Status.OK);
      assert.is(bench.removeList(1), Status.NOT_FOUND);
      assert.is(bench.add(1, 1n << 30n, M2), Status.NOT_FOUND);
      bench.removeList(2);
      assert.is(bench.addList(9n << 30n, 1n << 30n, 12), 2);
      assert.is(bench.addList(1n << 30n, 1n << 30n, 12), 1);
      assert.is(bench.addList(2n << 30n, 1n << 30n, 12), 4);
      for (const index of [-1, 5, 2 ** 31 - 1, -(2 ** 31)]) assert.is(bench.removeList(index), Status.NOT_FOUND);
      bench.check();
    });
  });

  test("of external lists do not count for the size of a window, unless they are heaps; they count as memory", () => {
    withTable((bench) => {
      bench.checkWalks();
      bench.addList(0n, 1n << 30n, 21);
      bench.add(0, 0n, 3n * M2, 1n << 40n);
      bench.check();
      const external = bench.addList(8n << 30n, 1n << 30n, 12, ListFlag.EXTERNAL);
      bench.add(external, 8n << 30n, 4096n, 1n << 41n);
      bench.check();
      assert.is(core.walkSmallestPage(bench.table), 21);
      core.walkHighestMemseg(bench.table);
      assert.is(core.walkLast(), 3n * M2 - 1n);
      assert.is(core.memsegCount(bench.table), 2);

      const heap = bench.addList(4n << 30n, 1n << 30n, 16, ListFlag.EXTERNAL | ListFlag.HEAP);
      bench.add(heap, 4n << 30n, 0x10000n);
      bench.addList(6n << 30n, 1n << 30n, 30, ListFlag.HEAP);
      bench.check();
      assert.is(core.walkSmallestPage(bench.table), 16);
      core.walkHighestMemseg(bench.table);
      assert.is(core.walkLast(), (4n << 30n) + 0xffffn);
      assert.is(core.walkPageShift(), 16);
    });
  });

  test("of external lists alone give nothing to size a window by", () => {
    withTable((bench) => {
      bench.addList(1n << 30n, 1n << 30n, 12, ListFlag.EXTERNAL);
      bench.add(0, 1n << 30n, 4096n);
      bench.check();
      assert.is(core.walkHighestMemseg(bench.table), 0);
      assert.is(core.walkSmallestPage(bench.table), 0);
    });
  });

  test("reach to the last byte of the address space", () => {
    withTable((bench) => {
      const base = TWO_64 - (1n << 30n);
      bench.addList(base, 1n << 30n, 12);
      bench.add(0, TWO_64 - 4096n, 4096n, TWO_64 - 8192n);
      bench.add(0, base, 1n << 21n, 0n);
      bench.check();
      assert.is(core.memsegTranslate(bench.table, TWO_64 - 1n), TWO_64 - 4097n);
      core.walkHighestMemseg(bench.table);
      assert.is(core.walkLast(), TWO_64 - 1n);
    });
  });

  test("are found from any address on, up to any other", () => {
    withTable((bench) => {
      bench.addList(1n << 40n, 1n << 33n, 12);
      const places = [0n, 0x1000n, 0x5000n, M2 - 4096n, M2, (1n << 30n) - 4096n, 1n << 30n, (1n << 33n) - 4096n];
      for (const at of places) bench.add(0, (1n << 40n) + at, 4096n);
      const addresses = [...edges, ...places.flatMap((at) => [-1n, 0n, 1n, 4095n].map((by) => (1n << 40n) + at + by))];
      for (const va of addresses) for (const last of addresses) bench.next(va, last);
    });
  });

  test("come and go at random, in lists of several page sizes, as their twins do", () => {
    forSeeds(8, (random) => {
      withTable((bench) => {
        for (let step = 0; step < 120; step++) {
          const index = random.below(6);
          const list = bench.twin.lists[index];
          if (!list) {
            const pageShift = random.pick([12, 12, 16, 21, 30]);
            const base = random.pick([0n, 1n << 30n, (1n << 47n) - (1n << 34n), 1n << 57n]);
            const at = base + (BigInt(random.below(16)) << 31n);
            bench.addList(at, BigInt(1 + random.below(40)) << BigInt(pageShift), pageShift, random.below(4));
          } else if (random.chance(15)) {
            bench.removeList(index);
          } else if (random.chance(3) && bench.twin.memsegs.length > 0) {
            bench.remove(random.pick(bench.twin.memsegs).va);
          } else {
            const page = 1n << BigInt(list.pageShift);
            const va = list.base + BigInt(random.below(42) - 1) * page;
            const iova = random.chance(3) ? NO_ADDRESS : BigInt(random.below(1 << 20)) * page;
            bench.add(index, BigInt.asUintN(64, va), BigInt(1 + random.below(9)) * page, iova);
          }
          bench.freePages(index, random.pick([0n, 1n, 2n, 7n, 40n, 41n]));
        }
        bench.check();
      });
    });
  });

  test("are whole chunks of a list and more, around which the free pages are found", () => {
    withTable((bench) => {
      const page = 4096n;
      const base = 1n << 40n;
      bench.addList(base, 40000n * page, 12);
      bench.add(0, base + 3n * page, 36000n * page);
      const free = (pages: bigint) => core.listFreePages(bench.table, 0, pages);
      assert.is(free(3n), base);
      assert.is(free(4n), base + 36003n * page);
      assert.is(free(3997n), base + 36003n * page);
      assert.is(free(3998n), NO_ADDRESS);
      bench.remove(base + 3n * page);
      assert.is(free(40000n), base);
      assert.is(free(40001n), NO_ADDRESS);
      assert.is(free(NO_ADDRESS), NO_ADDRESS);
      bench.add(0, base, 32768n * page);
      bench.check();
      assert.is(free(7232n), base + 32768n * page);
      bench.remove(base);
    });
  });
});
