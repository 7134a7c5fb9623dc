/** Registrations: when memory is registered, whose it is, and when it ends. */
import * as assert from "uvu/assert";
import { Status } from "../../src/core.ts";
import { VfioCall } from "../../src/syscalls.ts";
import type { Request } from "../reference/requests.ts";
import { Bench, requestsIn } from "./drive.ts";
import { eachBuild } from "./support.ts";

const PAGE = 4096n;
const low = { start: 0n, size: 64n * PAGE, pageShift: 12 };
const high = { start: 1n << 59n, size: 16n << 16n, pageShift: 16 };

const at = requestsIn(low);

/** 64 KiB of memory, from that page of 4 KiB on, in the high window. */
function inHigh(slot: number, slots: number, memory: number): Request {
  return { ...at(0, 16 * slots, memory), iova: high.start + (BigInt(slot) << 16n) };
}

eachBuild("registrations", (test, core) => {
  const calls = () => Array.from({ length: core.callCount() }, (_, index) => core.callAt(index));
  const registered = (bench: Bench) => core.containerRegistrations(bench.container);
  const { IOMMU_MAP_DMA: MAP, IOMMU_UNMAP_DMA: UNMAP } = VfioCall;
  const { IOMMU_SPAPR_REGISTER_MEMORY: REGISTER, IOMMU_SPAPR_UNREGISTER_MEMORY: UNREGISTER } = VfioCall;

  test("stay until the last page of theirs is unmapped, in whatever parts, and end with it", () => {
    const bench = Bench.spapr(core, 12, low);
    bench.map([at(0, 8)]);
    assert.equal(calls(), [REGISTER, MAP]);
    for (const part of [at(2, 3), at(0, 1), at(7, 1), at(5, 2)]) {
      bench.unmap([part]);
      assert.equal(calls(), [UNMAP]);
      assert.is(registered(bench), 1);
    }
    bench.unmap([at(1, 1)]);
    assert.equal(calls(), [UNMAP, UNREGISTER]);
    assert.is(registered(bench), 0);
    bench.close();
  });

  test("are not made again for memory that was unmapped in part, and are still counted right", () => {
    const bench = Bench.spapr(core, 12, low);
    bench.map([at(0, 8)]);
    bench.unmap([at(2, 2)]);
    bench.map([at(20, 1, 2), at(22, 1, 3)]);
    assert.equal(calls(), [MAP, MAP]);
    bench.unmap([at(0, 2), at(4, 4)]);
    assert.equal(calls(), [UNMAP, UNMAP]);
    bench.unmap([at(20, 1, 2), at(22, 1, 3)]);
    assert.equal(calls(), [UNMAP, UNMAP, UNREGISTER]);
    bench.close();
  });

  test("of neighbours serve one map together", () => {
    const bench = Bench.spapr(core, 12, low);
    bench.map([at(0, 2), at(2, 2), at(4, 2)]);
    bench.unmap([at(1, 1), at(2, 1)]);
    bench.unmap([at(4, 1)]);
    bench.map([at(30, 2, 1)]);
    assert.equal(calls(), [MAP]);
    bench.unmap([at(0, 1), at(3, 1), at(5, 1)]);
    assert.equal(calls(), [UNMAP, UNMAP, UNMAP, UNREGISTER], "only the third pair has nothing mapped any more");
    bench.unmap([at(30, 2, 1)]);
    assert.equal(calls(), [UNMAP, UNREGISTER, UNREGISTER]);
    bench.close();
  });

  test("end all together when one unmap goes over several maps", () => {
    const bench = Bench.spapr(core, 12, low);
    bench.map([at(0, 2), at(2, 2), at(4, 2), at(6, 2)]);
    bench.unmap([at(1, 6)]);
    assert.equal(calls(), [UNMAP, UNREGISTER, UNREGISTER]);
    assert.is(registered(bench), 2);
    bench.close();
  });

  test("are shared by two windows, of different pages, and end with the last of them", () => {
    const bench = Bench.spapr(core, 12, low, high);
    bench.map([inHigh(3, 1, 0)], { window: 1 });
    assert.equal(calls(), [REGISTER, MAP]);
    bench.map([at(5, 4, 4)]);
    assert.equal(calls(), [MAP]);
    bench.unmap([inHigh(3, 1, 0)], { window: 1 });
    assert.equal(calls(), [UNMAP]);
    bench.map([inHigh(0, 1, 0)], { window: 1 });
    assert.equal(calls(), [MAP]);
    bench.unmap([at(5, 4, 4)]);
    assert.equal(calls(), [UNMAP]);
    bench.unmap([inHigh(0, 1, 0)], { window: 1 });
    assert.equal(calls(), [UNMAP, UNREGISTER]);
    bench.close();
  });

  test("count a page once for each window: both must go before it does", () => {
    const bench = Bench.spapr(core, 12, low, { ...low, start: 1n << 59n });
    const both = [at(0, 4), { ...at(0, 4), iova: 1n << 59n }] as const;
    bench.map([both[0]]);
    bench.map([both[1]], { window: 1 });
    bench.unmap([both[0]]);
    assert.equal(calls(), [UNMAP]);
    bench.map([at(8, 4, 0)]);
    bench.unmap([both[1]], { window: 1 });
    assert.equal(calls(), [UNMAP]);
    bench.unmap([at(8, 4, 0)]);
    assert.equal(calls(), [UNMAP, UNREGISTER]);
    bench.close();
  });

  test("are whole CPU pages: of 64 KiB where the window's are of 4", () => {
    const bench = Bench.spapr(core, 16, low);
    assert.is(bench.map([at(0, 16, 1)]), Status.UNALIGNED_VA);
    assert.is(bench.map([at(0, 8, 0)]), Status.UNALIGNED_LENGTH);
    assert.is(bench.map([at(0, 16, 0)]), Status.OK);
    bench.unmap([at(3, 1)]);
    assert.is(bench.map([at(40, 1, 3)]), Status.OK, "registered memory can be mapped by pages of the window");
    bench.close();
  });

  test("number many, of which those that end are forgotten and their numbers used again", () => {
    const bench = Bench.spapr(core, 12, { start: 0n, size: 512n * PAGE, pageShift: 12 });
    const all = Array.from({ length: 200 }, (_, i) => at(2 * i, 1));
    bench.map(all);
    assert.is(registered(bench), 200);
    bench.unmap(all.filter((_, i) => i % 3 === 0));
    assert.is(registered(bench), 133);
    bench.map(all.filter((_, i) => i % 3 === 0).map((each, i) => ({ ...each, va: each.va + PAGE * BigInt(i % 2) })));
    assert.is(registered(bench), 200);
    bench.close();
  });

  test("reach to the last page of the address space, and from the first", () => {
    const bench = Bench.spapr(core, 12, { start: 0n, size: 16n * PAGE, pageShift: 12 });
    const last = (1n << 64n) - 2n * PAGE;
    bench.map([{ va: last, iova: 0n, length: 2n * PAGE, permission: 1 }]);
    bench.map([{ va: 0n, iova: 2n * PAGE, length: PAGE, permission: 2 }]);
    bench.unmap([{ va: last + PAGE, iova: PAGE, length: PAGE }]);
    bench.map([{ va: last + PAGE, iova: 8n * PAGE, length: PAGE, permission: 1 }]);
    assert.equal(calls(), [MAP]);
    bench.close();
  });
});
