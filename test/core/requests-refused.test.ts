/** Which maps and unmaps are refused, which rule is named first, and that a refusal changes nothing. */
import * as assert from "uvu/assert";
import { NO_ADDRESS, Owner, Status } from "../../src/core.ts";
import type { Request } from "../reference/requests.ts";
import { Bench, requestsIn, type WindowShape } from "./drive.ts";
import { eachBuild, edges, show } from "./support.ts";

const TWO_64 = 1n << 64n;
const PAGE = 4096n;
const small: WindowShape = { start: 1n << 59n, size: 64n * PAGE, pageShift: 12 };

const at = requestsIn(small);

eachBuild("refused requests", (test, core) => {
  /** Runs `use` on a window and fails if it leaves anything behind. */
  function withBench(shape: WindowShape, cpuPageShift: number, use: (bench: Bench) => void): void {
    const bench = Bench.spapr(core, cpuPageShift, shape);
    use(bench);
    bench.close();
  }

  for (const shape of [
    { start: 0n, size: 64n * PAGE, pageShift: 12 },
    { start: TWO_64 - 64n * PAGE, size: 64n * PAGE, pageShift: 12 },
    { start: 1n << 59n, size: 256n << 30n, pageShift: 30 },
    { start: 1n << 32n, size: 16n << 16n, pageShift: 16 },
  ]) {
    test(`are those of the twin, for all edge values in ${show(shape)}`, () => {
      const near = [shape.start, shape.start + shape.size].flatMap((edge) =>
        [-1n, 0n, 1n].flatMap((by) => [edge + by, edge + by * (1n << BigInt(shape.pageShift))]),
      );
      const iovas = [...edges, ...near.map((each) => BigInt.asUintN(64, each))];
      const page = 1n << BigInt(shape.pageShift);
      const lengths = [0n, 1n, page - 1n, page, page + 1n, 2n * page, shape.size, shape.size + page, TWO_64 - page];
      withBench(shape, 12, (bench) => {
        for (const va of edges) {
          for (const iova of iovas) {
            for (const length of lengths) {
              const request = { va, iova, length, permission: 3 };
              if (bench.unmap([request]) === Status.OK) assert.unreachable("nothing was mapped yet");
              if (bench.map([request]) !== Status.OK) continue;
              // A second time the IOVA is live, or the memory is mapped, or there is no hole: the twin knows.
              assert.is.not(bench.map([request]), Status.OK);
              assert.is(bench.unmap(bench.twin(0).runs()), Status.OK);
            }
          }
        }
      });
    });
  }

  test("name the rule that comes first, when several are broken", () => {
    withBench(small, 16, (bench) => {
      bench.reserve(0, small.start + 32n * PAGE, 16n * PAGE);
      assert.is(bench.map([at(16, 16)]), Status.OK);
      const wrong: [Partial<Request>, number][] = [
        [{ length: 0n, va: 1n, iova: 1n, permission: 0 }, Status.ZERO_LENGTH],
        [{ length: TWO_64 - 1n, va: 1n, iova: 2n, permission: 0 }, Status.WRAPS],
        [{ length: 4096n, va: 1n, iova: TWO_64 - 4095n }, Status.WRAPS],
        [{ length: 4095n, va: 1n, iova: 2n, permission: 0 }, Status.UNALIGNED_VA],
        [{ length: 4095n, va: 0n, iova: 2n, permission: 0 }, Status.UNALIGNED_IOVA],
        [{ length: 4095n, va: 0n, iova: 0n, permission: 0 }, Status.UNALIGNED_LENGTH],
        [{ length: 4096n, va: 0n, iova: 0n, permission: 0 }, Status.OUTSIDE_WINDOW],
        [{ ...at(31, 2), permission: 0 }, Status.RESERVED],
        [{ ...at(20), permission: 0 }, Status.BAD_PERMISSION],
        [{ ...at(20), permission: 4 }, Status.BAD_PERMISSION],
        [{ ...at(20), permission: 0xffff_ffff }, Status.BAD_PERMISSION],
        [{ ...at(20) }, Status.ALREADY_LIVE],
        [{ ...at(2, 1, 17) }, Status.VA_ALREADY_MAPPED],
        [{ ...at(2, 1, 15) }, Status.UNALIGNED_VA],
        [{ ...at(2, 1, 48) }, Status.UNALIGNED_LENGTH],
      ];
      for (const [request, status] of wrong) {
        assert.is(bench.map([{ ...at(1), ...request }]), status, show(request));
      }
      const wrongUnmaps: [Partial<Request>, number][] = [
        ...wrong.slice(0, 8),
        [{ ...at(15, 2) }, Status.NOT_LIVE],
        [{ ...at(31, 1, 40) }, Status.VA_MISMATCH],
        [{ ...at(17, 2, 18) }, Status.VA_MISMATCH],
      ];
      for (const [request, status] of wrongUnmaps) {
        assert.is(bench.unmap([{ ...at(1), ...request }]), status, show(request));
      }
    });
  });

  test("of a program are in IOVAs set aside, of a memory outside of them; a window that ends may unmap both", () => {
    withBench(small, 12, (bench) => {
      bench.reserve(0, small.start + 8n * PAGE, 8n * PAGE);
      for (const [owner, status] of [
        [Owner.PROGRAM, Status.RESERVED],
        [Owner.MEMORY, Status.NOT_RESERVED],
      ] as const) {
        assert.is(bench.map([at(7, 2)], { owner }), status);
        assert.is(bench.map([at(15, 2)], { owner }), status);
      }
      assert.is(bench.map([at(8, 8)]), Status.RESERVED);
      assert.is(bench.map([at(7)], { owner: Owner.MEMORY }), Status.NOT_RESERVED);
      assert.is(bench.map([at(8, 8)], { owner: Owner.MEMORY }), Status.OK);
      assert.is(bench.map([at(7), at(16)]), Status.OK);
      assert.is(bench.unmap([at(8)]), Status.RESERVED);
      assert.is(bench.unmap([at(7)], { owner: Owner.MEMORY }), Status.NOT_RESERVED);
      assert.is(bench.unmap([at(7, 10)]), Status.RESERVED);
      assert.is(bench.unmap([at(7, 10)], { owner: Owner.WINDOW }), Status.OK);
    });
  });

  test("are refused for what an earlier one of the same batch does, in IOVAs and in memory, and all of it is undone", () => {
    withBench(small, 12, (bench) => {
      for (const [batch, status, refused] of [
        [[at(0, 2), at(4, 2), at(5, 1, 20)], Status.ALREADY_LIVE, 2],
        [[at(0, 2), at(4, 2), at(10, 1, 5)], Status.VA_ALREADY_MAPPED, 2],
        [[at(0, 2), at(0, 2)], Status.ALREADY_LIVE, 1],
        [[at(0), at(1), at(2), at(64)], Status.OUTSIDE_WINDOW, 3],
        [[at(3), at(2, 3, 40), at(1)], Status.ALREADY_LIVE, 1],
      ] as const) {
        assert.is(bench.map(batch), status);
        assert.is(core.refusedRequest(), refused);
        assert.is(core.windowLiveTces(bench.handle(0)), 0n);
        assert.is(core.containerRegistrations(bench.container), 0);
      }
      bench.map([at(0, 16)]);
      for (const [batch, status, refused] of [
        [[at(2, 4), at(5, 2)], Status.NOT_LIVE, 1],
        [[at(0, 8), at(8, 8), at(0, 1)], Status.NOT_LIVE, 2],
        [[at(0, 8), at(9, 7), at(8, 1, 9)], Status.VA_MISMATCH, 2],
      ] as const) {
        assert.is(bench.unmap(batch), status);
        assert.is(core.refusedRequest(), refused);
        assert.is(core.windowLiveTces(bench.handle(0)), 16n);
      }
    });
  });

  test("that would unmap what lies side by side in IOVAs but not in memory are refused, from whichever page on it differs", () => {
    withBench(small, 12, (bench) => {
      assert.is(bench.map([at(0, 4), at(4, 4, 20), at(8, 4, 24), at(12, 4, 12)]), Status.OK);
      for (const batch of [
        [at(0, 5)],
        [at(3, 2)],
        [at(0, 16)],
        [at(6, 7, 22)],
        [at(8, 8, 24)],
        [at(0, 4), at(4, 9, 20)],
      ]) {
        assert.is(bench.unmap(batch), Status.VA_MISMATCH);
      }
      assert.is(bench.unmap([at(4, 8, 20)]), Status.OK, "two maps, and side by side in memory too");
    });
  });

  test("of memory that is registered in part are refused, wherever the part lies", () => {
    withBench(small, 12, (bench) => {
      bench.map([at(20, 4), at(26, 2)]);
      assert.is(bench.map([at(0, 8, 18)]), Status.VA_ALREADY_MAPPED);
      // Nothing of page 21 is mapped any more, but it is still registered with its neighbours.
      bench.unmap([at(21)]);
      bench.unmap([at(20)]);
      assert.is(bench.map([at(0, 2, 19)]), Status.PARTLY_REGISTERED);
      assert.is(bench.map([at(0, 3, 19)]), Status.PARTLY_REGISTERED);
      assert.is(bench.map([at(0, 2, 20)]), Status.OK);
      bench.unmap([at(23)]);
      bench.unmap([at(26)]);
      assert.is(bench.map([at(30, 4, 23)]), Status.PARTLY_REGISTERED);
      assert.is(bench.map([at(24, 2)]), Status.OK);
      assert.is(bench.map([at(30, 1, 23), at(31, 1, 26)]), Status.OK);
    });
  });

  test("that leave their IOVA open get the lowest that is free, seeing those before them, or are told that none is", () => {
    withBench(small, 12, (bench) => {
      const open = (memory: number, pages: number) => ({ ...at(0, pages, memory), iova: NO_ADDRESS });
      bench.reserve(0, small.start + 2n * PAGE, 2n * PAGE);
      assert.is(bench.map([open(0, 1), open(1, 4), open(5, 1), at(20, 1, 30), open(40, 12)]), Status.OK);
      const pageOf = (memory: number) =>
        (core.windowTranslate(bench.handle(0), at(0, 1, memory).va) - small.start) / PAGE;
      // Pages 2 and 3 are set aside; 4 to 7 hold the second request.
      assert.equal([0, 1, 5, 30, 40].map(pageOf), [0n, 4n, 1n, 20n, 8n]);
      assert.is(bench.map([open(100, 44)]), Status.NO_HOLE);
      assert.is(bench.map([open(100, 65)]), Status.NO_HOLE);
      assert.is(bench.map([open(100, 43), open(200, 1)]), Status.NO_HOLE);
      assert.is(bench.map([{ ...open(100, 1), length: 0n }]), Status.ZERO_LENGTH);
      assert.is(bench.map([{ ...open(100, 1), length: 4097n }]), Status.UNALIGNED_LENGTH);
      assert.is(bench.map([{ ...open(100, 1), length: TWO_64 - PAGE }]), Status.NO_HOLE);
      assert.is(bench.map([{ ...open(100, 1), va: 1n }]), Status.UNALIGNED_VA);
      assert.is(bench.map([open(100, 43)]), Status.OK);
    });
  });

  test("past the window's end, by a page or by almost all of the address space, never reach the kernel", () => {
    const shape = { start: TWO_64 - 64n * PAGE, size: 64n * PAGE, pageShift: 12 };
    withBench(shape, 12, (bench) => {
      const last = TWO_64 - PAGE;
      assert.is(bench.map([{ va: 0n, iova: last, length: 2n * PAGE, permission: 3 }]), Status.WRAPS);
      assert.is(bench.map([{ va: 0n, iova: last, length: TWO_64 - PAGE, permission: 3 }]), Status.WRAPS);
      assert.is(bench.map([{ va: 0n, iova: last, length: PAGE, permission: 3 }]), Status.OK);
      assert.is(bench.map([{ va: PAGE, iova: last - PAGE, length: PAGE, permission: 3 }]), Status.OK);
    });
    withBench(small, 12, (bench) => {
      assert.is(bench.map([at(63, 2)]), Status.OUTSIDE_WINDOW);
      assert.is(bench.map([at(0, 65)]), Status.OUTSIDE_WINDOW);
      assert.is(bench.map([at(0, 64)]), Status.OK);
    });
  });

  test("in an empty batch are none: nothing is written and nothing settles", () => {
    withBench(small, 12, (bench) => {
      assert.is(bench.map([]), Status.OK);
      assert.is(core.callCount(), 0);
      assert.is(bench.unmap([]), Status.OK);
    });
  });
});
