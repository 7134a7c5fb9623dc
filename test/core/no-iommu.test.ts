/** Containers without an IOMMU: the same rules, the same records, and not one call. */
import * as assert from "uvu/assert";
import { Owner, Status } from "../../src/core.ts";
import { NoIommuTwin } from "../reference/other-kernels.ts";
import { Bench, MEMORY, requestsIn } from "./drive.ts";
import { eachBuild, show } from "./support.ts";

const PAGE = 1n << 21n;
const shape = { start: 0n, size: 64n * PAGE, pageShift: 21 };

const at = requestsIn(shape);

eachBuild("no IOMMU", (test, core) => {
  const bare = () => Bench.on(core, (windows) => new NoIommuTwin(windows), shape);

  test("maps and unmaps are done once they are recorded: there are no calls, and all of them count", () => {
    const bench = bare();
    assert.is(bench.map([at(0, 4), at(8, 1)]), Status.OK);
    assert.is(core.callCount(), 0);
    assert.is(core.windowTranslate(bench.handle(0), MEMORY + PAGE + 5n), PAGE + 5n);
    assert.equal([0, 1].map(core.leftMapped), [1, 1]);
    assert.is(core.containerRegistrations(bench.container), 0);
    assert.is(bench.unmap([at(1, 2)]), Status.OK, "a part of a map is as good as a whole one");
    assert.is(core.callCount(), 0);
    assert.is(core.wrongUnmap(0), 0);
    assert.is(core.windowLiveTces(bench.handle(0)), 3n);
    bench.close();
  });

  test("calls of an earlier container are not taken for its own", () => {
    const spapr = Bench.spapr(core, 12, shape);
    spapr.map([at(0, 1)]);
    const bench = bare();
    bench.map([at(3, 1)]);
    assert.is(core.callCount(), 0);
    assert.is(core.collectMaps(), 1);
    bench.close();
    spapr.close();
  });

  test("what is refused elsewhere is refused here, and the batch with it", () => {
    const bench = bare();
    bench.reserve(0, 32n * PAGE, 8n * PAGE);
    bench.map([at(0, 4)]);
    for (const [batch, status] of [
      [[at(4, 1), at(3, 1, 20)], Status.ALREADY_LIVE],
      [[at(4, 1), at(5, 1, 2)], Status.VA_ALREADY_MAPPED],
      [[at(4, 1), at(63, 2)], Status.OUTSIDE_WINDOW],
      [[at(4, 1), at(31, 2)], Status.RESERVED],
      [[at(4, 1), { ...at(8, 1), permission: 0 }], Status.BAD_PERMISSION],
      [[at(4, 1), { ...at(8, 1), va: MEMORY + 4096n }], Status.UNALIGNED_VA],
    ] as const) {
      assert.is(bench.map(batch), status, show(batch));
      assert.is(core.windowLiveTces(bench.handle(0)), 4n);
    }
    assert.is(bench.unmap([at(0, 2), at(2, 3)]), Status.NOT_LIVE);
    assert.is(bench.unmap([at(0, 2), at(2, 2, 3)]), Status.VA_MISMATCH);
    assert.is(core.windowLiveTces(bench.handle(0)), 4n);
    assert.is(bench.map([at(32, 2)], { owner: Owner.MEMORY }), Status.OK);
    bench.close();
  });
});
