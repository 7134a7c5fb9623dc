/** Batches in which the kernel refuses a call, at every place: the tables then say what the kernel has. */
import * as assert from "uvu/assert";
import { Status } from "../../src/core.ts";
import { VfioCall } from "../../src/syscalls.ts";
import type { Request } from "../reference/requests.ts";
import { type Answer, Bench, MEMORY, requestsIn } from "./drive.ts";
import { eachBuild, show } from "./support.ts";

const PAGE = 4096n;
const START = 1n << 59n;
const shape = { start: START, size: 64n * PAGE, pageShift: 12 };

/** -EINVAL, -ENOMEM, and the positive answers that mean failure: an unaligned IOVA, and only some pages locked. */
const refusals = [-22, -12, 1, 7];

const at = requestsIn(shape);

/** Refuses the calls with these indexes. */
function refuse(result: number, ...indexes: number[]): Answer {
  return (index) => (indexes.includes(index) ? result : undefined);
}

/** Requests for memory of which some is registered before the batch, so some have one call and some two. */
const mixed: Request[] = [at(0, 2), at(8, 1, 30), at(10, 3), at(20, 1, 32), at(21, 2), at(24, 1, 34)];

eachBuild("refused calls", (test, core) => {
  /** A window in which the memory of pages 30 to 35 is registered, and page 31 is mapped. */
  function benchWithRegistered(): Bench {
    const bench = Bench.spapr(core, 12, shape);
    bench.map([at(40, 6, 30)]);
    bench.unmap([at(40, 1, 30), at(42, 4, 32)]);
    return bench;
  }

  test("of maps: at every place of batches of up to 6, with every answer, all that was done is undone", () => {
    for (let size = 1; size <= mixed.length; size++) {
      const requests = mixed.slice(0, size);
      for (const result of refusals) {
        for (let place = 0; place < 2 * size; place++) {
          const bench = benchWithRegistered();
          const before = core.bytesInUse();
          assert.is(bench.map(requests, { answer: refuse(result, place) }), Status.OK);
          const calls = size + requests.filter(({ va }) => va < MEMORY + 30n * PAGE).length;
          if (place >= calls) {
            assert.is(
              bench.twin(0).memoryAt.size,
              1 + requests.reduce((sum, { length }) => sum + Number(length / PAGE), 0),
            );
          } else {
            assert.is(bench.twin(0).memoryAt.size, 1);
            assert.is(bench.kernel.registrations.length, 1);
            assert.is(core.bytesInUse(), before, "no memory is kept for what was undone");
          }
          bench.close();
        }
      }
    }
  });

  test("of the undo: at every place, whatever was left is known, and can be taken back later", () => {
    for (const size of [1, 2, 3, 6]) {
      const requests = mixed.slice(0, size);
      for (let place = 0; place < 2 * size; place++) {
        for (let undone = 0; undone < place; undone++) {
          for (const result of [-22, 1]) {
            const bench = benchWithRegistered();
            bench.map(requests, { answer: refuse(-12, place), undoAnswer: refuse(result, undone) });
            bench.close();
          }
        }
      }
    }
  });

  test("of the undo: several at once, and all", () => {
    for (let mask = 0; mask < 1 << 8; mask++) {
      const bench = benchWithRegistered();
      const undoAnswer: Answer = (index) => ((mask >> index) & 1 ? -22 : undefined);
      bench.map(mixed, { answer: refuse(-12, 9), undoAnswer });
      bench.close();
    }
  });

  test("of the undo leave a request mapped, or registered, and say which", () => {
    const bench = Bench.spapr(core, 12, shape);
    // Calls: REGISTER 0, MAP 0, REGISTER 1, MAP 1, REGISTER 2. Undo: UNMAP 1, UNREGISTER 1, UNMAP 0, UNREGISTER 0.
    bench.map([at(0, 1), at(2, 1), at(4, 1)], { answer: refuse(-12, 4), undoAnswer: refuse(-22, 0, 3) });
    assert.equal([0, 1, 2].map(core.leftMapped), [0, 1, 0]);
    assert.equal([0, 1, 2].map(core.leftRegistered), [1, 0, 0]);
    assert.is(core.containerRegistrations(bench.container), 2);
    assert.is(core.containerHasIdle(bench.container), 1);
    assert.is(bench.map([at(10, 1, 0)]), Status.STALE_REGISTRATION, "what lies there now may be other memory");
    bench.endIdle();
    assert.is(core.containerRegistrations(bench.container), 1);
    assert.is(bench.map([at(10, 1, 0)]), Status.OK);
    bench.close();
  });

  test("of unmaps: at every place, what the kernel kept is kept, and can be unmapped later", () => {
    for (let size = 1; size <= mixed.length; size++) {
      for (const result of [-22, 1]) {
        for (let place = 0; place < 2 * size; place++) {
          const bench = benchWithRegistered();
          bench.map(mixed.slice(0, size));
          bench.unmap(mixed.slice(0, size), { answer: refuse(result, place) });
          bench.close();
        }
      }
    }
  });

  test("of unmaps: of one registration in several requests, in any order and any number", () => {
    // The registration is ended in the last request that leaves nothing of it mapped, and not if an earlier one failed.
    const parts = [at(0, 3), at(3, 1), at(4, 2), at(6, 2)];
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [2, 0, 3, 1],
    ]) {
      for (let mask = 0; mask < 1 << 5; mask++) {
        const bench = Bench.spapr(core, 12, shape);
        bench.map([at(0, 8), at(20, 4)]);
        const batch = [...order.map((part) => parts[part] as Request), at(20, 4)];
        bench.unmap(batch, { answer: (index) => ((mask >> index) & 1 ? -22 : undefined) });
        bench.close();
      }
    }
  });

  test("of unmaps: of requests that go over several registrations, in every combination", () => {
    for (let mask = 0; mask < 1 << 8; mask++) {
      const bench = Bench.spapr(core, 12, shape);
      bench.map([at(0, 2), at(2, 2), at(4, 2), at(6, 2), at(8, 1)]);
      // UNMAP, UNREGISTER 0-1, 2-3; UNMAP, UNREGISTER 4-5, 6-7; UNMAP, UNREGISTER 8.
      const batch = [at(0, 5), at(5, 3), at(8, 1)];
      bench.unmap(batch, { answer: (index) => ((mask >> index) & 1 ? -22 : undefined) });
      bench.close();
    }
  });

  test("of UNMAP keep back the UNREGISTER of memory that stays mapped, also where another request would end it", () => {
    const bench = Bench.spapr(core, 12, shape);
    bench.map([at(0, 8)]);
    bench.unmap([at(0, 4), at(4, 4)], { answer: refuse(-22, 0) });
    assert.is(core.containerRegistrations(bench.container), 1);
    assert.is(core.containerHasIdle(bench.container), 0);
    assert.is(bench.twin(0).translate(MEMORY), START, "the first is still mapped");
    bench.close();
  });

  test("of UNREGISTER leave idle registrations, which end one by one, and one that cannot holds back no other", () => {
    for (let mask = 0; mask < 1 << 4; mask++) {
      const bench = Bench.spapr(core, 12, shape);
      bench.map([at(0, 1), at(2, 1), at(4, 1), at(6, 1)]);
      const unregister = VfioCall.IOMMU_SPAPR_UNREGISTER_MEMORY;
      bench.unmap(bench.twin(0).runs(), { answer: (_index, call) => (call === unregister ? -12 : undefined) });
      assert.is(core.containerRegistrations(bench.container), 4);
      assert.is(core.windowLiveTces(bench.handle(0)), 0n);
      bench.endIdle((index) => ((mask >> index) & 1 ? -12 : undefined));
      const left = [0, 1, 2, 3].filter((index) => (mask >> index) & 1).length;
      assert.is(core.containerRegistrations(bench.container), left, show({ mask }));
      bench.close();
    }
  });
});
