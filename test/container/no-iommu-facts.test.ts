/** Without an IOMMU too, a refused map names its request, in words and in facts, and says what to do. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable } from "../../src/memory/table.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { readyWithoutIommu } from "../support/other-iommus.ts";
import { MiB } from "../support/program.ts";

const HUGE = 2n * MiB;
const ALL_ONES = (1n << 64n) - 1n;
const ACCESS = Protection.READ | Protection.WRITE;

const test = suite("without an IOMMU");

/** Two hugepages that are there, and address space beside them that has none. */
function ready() {
  const machine = readyWithoutIommu();
  const va = machine.model.mmap(0n, 2n * HUGE, ACCESS, MapFlag.HUGETLB | MapFlag.POPULATE, 21);
  const absent = machine.model.mmap(0n, 4n * HUGE, Protection.NONE, MapFlag.NORESERVE, 0);
  return { ...machine, va, absent: ((absent + HUGE - 1n) / HUGE) * HUGE };
}

test("memory that is not there: which request of how many", () => {
  const { window, va, absent } = ready();
  const request = { index: 1, count: 2, va: absent, length: HUGE };
  const error = failure("ERR_PAGE_NOT_PRESENT", () =>
    window.mapMany([
      { va, length: HUGE },
      { va: absent, length: HUGE },
    ]),
  );
  assert.equal(error.facts, request);
  assert.match(error.message, `cannot map 2 MiB of memory at 0x${absent.toString(16)} (request 1 of 2): `);
  const [vas, lengths, iovas] = [
    [va, absent],
    [HUGE, HUGE],
    [ALL_ONES, ALL_ONES],
  ].map((each) => BigUint64Array.from(each)) as [BigUint64Array, BigUint64Array, BigUint64Array];
  const again = failure("ERR_PAGE_NOT_PRESENT", () => window.mapInto(vas, lengths, iovas, new Uint32Array(2).fill(3)));
  assert.equal(again.facts, request);
  assert.is(window.liveBytes, 0n);
});

test("a page at another place than the IOVA says", () => {
  const { window, va } = ready();
  const error = failure("ERR_PHYSICAL_MISMATCH", () =>
    window.mapMany([
      { va, length: HUGE },
      { va: va + HUGE, length: HUGE, iova: 0n },
    ]),
  );
  const { index, count, iova, length } = error.facts ?? {};
  assert.equal([index, count, error.facts?.va, iova, length], [1, 2, va + HUGE, 0n, HUGE]);
  assert.match(error.message, "(request 1 of 2)");
});

test("a memseg that states no address: attached, and added; a table that asks is not told to ask", () => {
  for (const physical of [false, true]) {
    const { container, kernel, va } = ready();
    const memory = new MemsegTable({ kernel, physical });
    const list = memory.addList({ pageSize: HUGE, maxBytes: 2n * HUGE, base: va });
    const listed = { base: va, length: 2n * HUGE, pageSize: HUGE };
    const facts = { va, length: HUGE, list: listed, segment: { va, length: HUGE } };
    memory.add(list, { va, length: HUGE });
    const attaching = failure("ERR_PHYSICAL_UNKNOWN", () => container.attach(memory));
    assert.equal(attaching.facts, { index: 0, count: 1, ...facts });
    memory.remove(va);
    container.attach(memory);
    const adding = failure("ERR_PHYSICAL_UNKNOWN", () => memory.add(list, { va, length: HUGE }));
    assert.equal(adding.facts, { index: 0, count: 1, ...facts });
    assert.is(memory.size, 0);
    for (const { message } of [attaching, adding]) {
      assert.match(message, `of the list at 0x${va.toString(16)}`);
      assert.match(message, "state `iova` in ");
      assert.is(message.includes("with physical: true"), !physical, message);
    }
  }
});

test.run();
