/** What is called in the middle of a change cannot make another one: kernels, resolvers, listeners, getters. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Segment } from "../../src/memory/segment.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import type { MemsegList } from "../../src/memory/types.ts";
import { modelKernel } from "../../src/model/index.ts";
import { failure } from "../support/failure.ts";
import { faulty } from "../support/faulty.ts";

const PAGE = 4096n;

function made() {
  const kernel = faulty(modelKernel());
  const resolved: (() => void)[] = [];
  const memory: MemsegTable = new MemsegTable({
    kernel,
    physical: (va, pages) => {
      for (const one of resolved) one();
      return Array.from({ length: pages }, (_, i) => va + BigInt(i) * PAGE);
    },
  });
  const list = memory.addList({ pageSize: PAGE, maxBytes: 16n * PAGE });
  return { kernel, memory, list, segment: memory.allocate(list, 1), resolved };
}

type Made = ReturnType<typeof made>;

const changes: Record<string, (of: Made) => unknown> = {
  allocate: ({ memory, list }) => memory.allocate(list, 1),
  free: ({ memory, segment }) => memory.free(segment),
  addList: ({ memory }) => memory.addList({ pageSize: PAGE, maxBytes: PAGE }),
  removeList: ({ memory, list }) => memory.removeList(list),
  add: ({ memory, list }) => memory.add(list, { va: list.base + 8n * PAGE, length: PAGE }),
  remove: ({ memory, list }) => memory.remove(list.base),
  close: ({ memory }) => memory.close(),
};

for (const [name, change] of Object.entries(changes)) {
  test(`${name} is refused in the middle of an allocate, which goes on and leaves all as it should be`, () => {
    const all = made();
    let asked = 0;
    const within = () => {
      asked++;
      failure("ERR_BUSY", () => change(all));
    };
    all.resolved.push(within);
    all.kernel.fail({ call: "mmap", before: within });
    const { memory, list } = all;
    const segment: Segment = memory.allocate(list, 2);
    assert.is(asked, 2);
    assert.equal(
      [...memory.memsegs()].map(({ va, length }) => [va, length]),
      [
        [list.base, PAGE],
        [segment.va, 2n * PAGE],
      ],
    );
    all.resolved.length = 0;
    memory.free(segment);
    const codes = ["ERR_BUSY"];
    try {
      change(all);
      codes.pop();
    } catch (error) {
      codes[0] = (error as { code: string }).code;
    }
    // Where it is refused now, then for what it is.
    const refusal = { removeList: ["ERR_BUSY"], remove: ["ERR_SEGMENT"] }[name] ?? [];
    assert.equal(codes, refusal);
  });
}

test("a getter of options that changes the table is refused, and one that changes its mind is asked once", () => {
  const { memory } = made();
  failure("ERR_BUSY", () =>
    memory.addList({
      pageSize: PAGE,
      get maxBytes() {
        memory.close();
        return PAGE;
      },
    }),
  );
  let asked = 0;
  const list: MemsegList = memory.addList({
    pageSize: PAGE,
    maxBytes: PAGE,
    get base() {
      return asked++ === 0 ? (undefined as never) : 0x1000n;
    },
  });
  assert.is.not(list.base, 0x1000n);
  assert.is(memory.allocate(list, 1).va, list.base);
});

test("options that a prototype has count as before", () => {
  const { memory } = made();
  const usual = Object.create({ pageSize: PAGE, maxBytes: 4n * PAGE });
  assert.is(memory.addList(usual).length, 4n * PAGE);
});

test("after a change that failed the next one is not refused", () => {
  const { memory, list, kernel } = made();
  kernel.fail({ call: "mmap", answer: -12 });
  failure("ERR_KERNEL", () => memory.allocate(list, 1));
  memory.allocate(list, 1);
});

test.run();
