/** Containers of type1: one MAP for each request, maps that are never cut, and what an UNMAP says that it did. */
import * as assert from "uvu/assert";
import { NO_ADDRESS, Status } from "../../src/core.ts";
import { VfioCall } from "../../src/syscalls.ts";
import { Type1KernelTwin } from "../reference/other-kernels.ts";
import { type Answer, Bench, MEMORY, requestsIn } from "./drive.ts";
import { eachBuild, edges, show } from "./support.ts";

const TWO_64 = 1n << 64n;
const PAGE = 4096n;
const START = 1n << 32n;
const shape = { start: START, size: 64n * PAGE, pageShift: 12 };
const { IOMMU_MAP_DMA: MAP, IOMMU_UNMAP_DMA: UNMAP } = VfioCall;

const at = requestsIn(shape);

/** Answers UNMAP number `index` with 0 and a size that is wrong. */
function wrongly(size: bigint, gone: boolean, ...indexes: number[]): Answer {
  return (index, call) => (call === UNMAP && indexes.includes(index) ? { size, gone } : undefined);
}

eachBuild("type1", (test, core) => {
  const calls = () => Array.from({ length: core.callCount() }, (_, index) => core.callAt(index));
  const onType1 = (version: 1 | 2, ...shapes: (typeof shape)[]) =>
    Bench.on(core, (windows) => new Type1KernelTwin(version, windows), ...shapes);

  for (const version of [1, 2] as const) {
    test(`v${version}: a map is one MAP, an unmap one UNMAP, and no memory is registered`, () => {
      const bench = onType1(version, shape);
      bench.map([at(0, 4), at(8, 1)]);
      assert.equal(calls(), [MAP, MAP]);
      assert.is(core.containerRegistrations(bench.container), 2, "the kernel has two maps");
      bench.unmap([at(0, 4)]);
      assert.equal(calls(), [UNMAP]);
      assert.is(core.containerRegistrations(bench.container), 1);
      bench.close();
    });

    test(`v${version}: an unmap that cuts a map, at either end or both, is refused and changes nothing`, () => {
      const bench = onType1(version, shape);
      bench.map([at(4, 4), at(8, 4), at(12, 4)]);
      for (const part of [at(4, 1), at(5, 1), at(7, 1), at(5, 3), at(4, 3), at(6, 4), at(4, 9), at(9, 7), at(5, 10)]) {
        assert.is(bench.unmap([part]), Status.CUTS_MAP, show(part));
        assert.is(core.refusedRequest(), 0);
      }
      assert.is(bench.unmap([at(4, 4), at(8, 3)]), Status.CUTS_MAP);
      assert.is(core.refusedRequest(), 1);
      bench.close();
    });

    test(`v${version}: several whole maps side by side go with one UNMAP`, () => {
      const bench = onType1(version, shape);
      bench.map([at(4, 4), at(8, 4), at(12, 4), at(20, 1)]);
      assert.is(bench.unmap([at(8, 8)]), Status.OK);
      assert.equal(calls(), [UNMAP]);
      assert.is(core.containerRegistrations(bench.container), 2);
      assert.is(bench.map([at(10, 2)]), Status.OK, "the place is free, in other pieces");
      assert.is(bench.unmap([at(10, 1)]), Status.CUTS_MAP);
      bench.close();
    });

    test(`v${version}: where a map of the kernel begins and how long it is can be asked for every IOVA in it`, () => {
      const bench = onType1(version, shape);
      bench.map([at(4, 4), at(8, 1)]);
      for (const [page, start, length] of [
        [4, 4, 4],
        [7, 4, 4],
        [8, 8, 1],
      ] as const) {
        for (const within of [0n, 1n, PAGE - 1n]) {
          const iova = at(page, 1).iova + within;
          assert.is(core.containerPieceStart(bench.container, iova), at(start, 1).iova);
          assert.is(core.containerPieceLength(bench.container, iova), BigInt(length) * PAGE);
        }
      }
      for (const iova of [...edges, at(3, 1).iova + PAGE - 1n, at(9, 1).iova]) {
        assert.is(core.containerPieceStart(bench.container, iova), NO_ADDRESS, show(iova));
        assert.is(core.containerPieceLength(bench.container, iova), 0n);
      }
      bench.close();
    });

    test(`v${version}: the same memory may be mapped in two windows, and each map ends by itself`, () => {
      const other = { ...shape, start: 1n << 40n };
      const bench = onType1(version, shape, other);
      const there = { ...at(0, 4), iova: other.start };
      assert.is(bench.map([at(0, 4)]), Status.OK);
      assert.is(bench.map([there], { window: 1 }), Status.OK);
      assert.is(bench.map([{ ...at(8, 4), va: MEMORY }]), Status.VA_ALREADY_MAPPED);
      assert.is(core.containerRegistrations(bench.container), 2);
      assert.is(bench.unmap([at(0, 4)]), Status.OK);
      assert.is(core.windowTranslate(bench.handle(1), MEMORY), other.start);
      bench.close();
    });

    test(`v${version}: maps may begin at IOVA 0 and end with the last there is`, () => {
      const low = { start: 0n, size: 4n * PAGE, pageShift: 12 };
      const high = { start: TWO_64 - 4n * PAGE, size: 4n * PAGE, pageShift: 12 };
      const bench = onType1(version, low, high);
      const all = { va: TWO_64 - 4n * PAGE, length: 4n * PAGE, permission: 3 };
      assert.is(bench.map([{ ...all, iova: 0n }]), Status.OK);
      assert.is(bench.map([{ ...all, iova: high.start }], { window: 1 }), Status.OK);
      assert.is(core.containerPieceStart(bench.container, TWO_64 - 1n), high.start);
      assert.is(bench.unmap([{ va: all.va + PAGE, iova: high.start + PAGE, length: 3n * PAGE }], { window: 1 }), 25);
      bench.close();
    });

    test(`v${version}: whichever MAP of a batch is refused, those before it are unmapped, and what is there stays`, () => {
      const batch = [at(0, 2), at(8, 1), at(10, 3), at(20, 1)];
      for (const answer of [-17, -28, -12, -14, -22, 1]) {
        for (let place = 0; place < batch.length; place++) {
          const bench = onType1(version, shape);
          bench.map([at(40, 2)]);
          const before = core.bytesInUse();
          bench.map(batch, { answer: (index) => (index === place ? answer : undefined) });
          assert.is(core.callCount(), place, "one UNMAP for each MAP that was made, and none for the one that was not");
          assert.is(core.containerRegistrations(bench.container), 1);
          assert.is(core.bytesInUse(), before);
          bench.close();
        }
      }
    });

    test(`v${version}: an UNMAP of the undo that is refused leaves its map on record, and no other`, () => {
      for (let undone = 0; undone < 3; undone++) {
        const bench = onType1(version, shape);
        bench.map([at(0, 2), at(8, 1), at(10, 3), at(20, 1)], {
          answer: (index) => (index === 3 ? -28 : undefined),
          undoAnswer: (index) => (index === undone ? -22 : undefined),
        });
        assert.equal(
          [0, 1, 2, 3].map(core.leftMapped),
          [0, 1, 2, 3].map((i) => (i === 2 - undone ? 1 : 0)),
        );
        assert.equal([0, 1, 2, 3].map(core.leftRegistered), [0, 0, 0, 0]);
        bench.close();
      }
    });

    test(`v${version}: a registration that stays is unknown here: nothing is ever idle`, () => {
      const bench = onType1(version, shape);
      bench.map([at(0, 1)]);
      bench.unmap([at(0, 1)], { answer: () => -22 });
      assert.is(core.containerHasIdle(bench.container), 0);
      assert.is(core.prepareIdle(bench.container), Status.OK);
      assert.is(core.callCount(), 0);
      bench.close();
    });
  }

  test("v2: an UNMAP that found less than was asked for is named, and all of it is off the record", () => {
    const bench = onType1(2, shape);
    bench.map([at(0, 2), at(4, 2), at(8, 2)]);
    const before = core.bytesInUse();
    bench.unmap([at(0, 2), at(4, 2), at(8, 2)], { answer: wrongly(PAGE, true, 0, 2) });
    assert.equal([core.wrongUnmap(0), core.wrongUnmap(1), core.wrongUnmap(3)], [0, 2, 3]);
    assert.is(core.unmappedLength(core.structAt(2)), PAGE);
    assert.is(core.windowLiveTces(bench.handle(0)), 0n);
    assert.ok(core.bytesInUse() < before);
    bench.close();
  });

  test("v1: an UNMAP that says less than was asked for did not happen, for all that is known", () => {
    for (const size of [0n, PAGE, 2n * PAGE - 1n]) {
      const bench = onType1(1, shape);
      bench.map([at(0, 2), at(4, 2)]);
      bench.unmap([at(0, 2), at(4, 2)], { answer: wrongly(size, false, 0) });
      assert.is(core.wrongUnmap(0), 0);
      assert.is(core.windowTranslate(bench.handle(0), MEMORY), START, "still on record");
      assert.is(core.containerRegistrations(bench.container), 1);
      assert.is(bench.unmap([at(0, 2)]), Status.OK, "and can be unmapped again");
      bench.close();
    }
  });

  test("v1: an UNMAP that says more than was asked for has unmapped at least that", () => {
    const bench = onType1(1, shape);
    bench.map([at(0, 2)]);
    bench.unmap([at(0, 2)], { answer: wrongly(3n * PAGE, true, 0) });
    assert.is(core.wrongUnmap(0), 0);
    assert.is(core.windowLiveTces(bench.handle(0)), 0n);
    bench.close();
  });

  test("v1: an UNMAP of the undo that unmaps nothing leaves its map on record", () => {
    const bench = onType1(1, shape);
    const answer: Answer = (index) => (index === 2 ? -12 : undefined);
    bench.map([at(0, 2), at(4, 2), at(8, 2)], { answer, undoAnswer: wrongly(0n, false, 1) });
    assert.equal([0, 1, 2].map(core.leftMapped), [1, 0, 0]);
    bench.close();
  });

  test("v2: an UNMAP of the undo has unmapped whatever it says", () => {
    const bench = onType1(2, shape);
    const answer: Answer = (index) => (index === 2 ? -12 : undefined);
    bench.map([at(0, 2), at(4, 2), at(8, 2)], { answer, undoAnswer: wrongly(0n, true, 1) });
    assert.equal([0, 1, 2].map(core.leftMapped), [0, 0, 0]);
    bench.close();
  });

  test("many maps come and go, in any order, and their records are used again", () => {
    const bench = onType1(2, { ...shape, size: 512n * PAGE });
    const all = Array.from({ length: 200 }, (_, i) => at(2 * i, 1));
    const empty = core.bytesInUse();
    bench.map(all);
    assert.is(core.containerRegistrations(bench.container), 200);
    bench.unmap(all.filter((_, i) => i % 3 === 0));
    bench.map(all.filter((_, i) => i % 3 === 0).reverse());
    bench.unmap([...all].reverse());
    assert.is(core.containerRegistrations(bench.container), 0);
    assert.ok(core.bytesInUse() - empty <= 8192n + 65536n, "no more than the records, and the list of calls");
    bench.close();
  });
});
