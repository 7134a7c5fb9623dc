/** A table that knows physical addresses, in a window that does not need them: what lies in one piece is one map. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable, modelKernel, openContainer, planWindow } from "../../src/index.ts";
import { faulty, type ModelKernel, type ModelOptions } from "../../src/model/index.ts";
import { failure } from "../support/failure.ts";

const PAGE = 4096n;
const ENOMEM = -12;

function ground(options: ModelOptions, iovaMode: "rebased" | "va" = "rebased") {
  const model = modelKernel(options);
  const kernel = faulty(model);
  const memory = new MemsegTable({ kernel, physical: true });
  const list = memory.addList({ pageSize: 4096, maxBytes: 1 << 20, near: 1n << 32n });
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory, info: container.info(), iovaMode }));
  return { model, kernel, memory, list, container, window };
}

const made = (model: ModelKernel, call: string) => model.counters().calls[`VFIO_IOMMU_${call}_DMA`]?.calls ?? 0;
const mapsMade = (model: ModelKernel) => made(model, "MAP");
const unmapsMade = (model: ModelKernel) => made(model, "UNMAP");

for (const platform of ["type1", "powernv", "pseries"] as const) {
  test(`${platform}: a segment of scattered pages is one map, and one unmap`, () => {
    const { model, memory, list, container, window } = ground({ platform });
    container.attach(memory);
    const segment = memory.allocate(list, 64);
    assert.ok(memory.size > 1, "the pages do not follow each other");
    assert.is(mapsMade(model), 1);
    assert.equal(
      model.live(26).map(({ length }) => length),
      [64n * PAGE],
    );
    assert.is(window.liveBytes, 64n * PAGE);
    memory.free(segment);
    assert.is(unmapsMade(model), 1);
    assert.equal(model.live(26), []);
    container.close();
    memory.close();
    assert.equal(model.leaks(), []);
  });
}

test("type1: as many segments as the kernel takes maps; attached before or behind", () => {
  for (const first of [true, false]) {
    const { model, memory, list, container } = ground({ platform: "type1", dmaEntryLimit: 3 });
    if (first) container.attach(memory);
    const segments = [5, 7, 9].map((pages) => memory.allocate(list, pages));
    if (!first) container.attach(memory);
    assert.is(mapsMade(model), 3);
    if (first) failure("ERR_KERNEL", () => memory.allocate(list, 1));
    // Neighbours in memory and for the device are three maps all the same: each of them goes alone.
    for (const segment of [segments[1], segments[0], segments[2]]) {
      if (segment !== undefined) memory.free(segment);
    }
    assert.equal(model.live(26), []);
    container.close();
    memory.close();
    assert.equal(model.leaks(), []);
  }
});

test("type1: in mode va likewise, and what the program added stays a map of its own", () => {
  const { model, memory, list, container, window } = ground({ platform: "type1" }, "va");
  const segment = memory.allocate(list, 8);
  container.attach(memory);
  assert.is(mapsMade(model), 1);
  assert.is(window.iovaOf(segment.va), segment.va);
  container.detach(memory);
  assert.is(unmapsMade(model), 1);
  memory.free(segment);
  container.close();
  memory.close();
});

test("type1: where an unmap fails all is as it was, and can be done again", () => {
  const { model, kernel, memory, list, container, window } = ground({ platform: "type1" });
  container.attach(memory);
  const segment = memory.allocate(list, 16);
  kernel.fail({ call: "UNMAP_DMA", answer: ENOMEM });
  failure("ERR_KERNEL", () => memory.free(segment));
  assert.is(window.liveBytes, 16n * PAGE);
  memory.free(segment);
  assert.equal(model.live(26), []);
  container.close();
  memory.close();
  assert.equal(model.leaks(), []);
});

test.run();
