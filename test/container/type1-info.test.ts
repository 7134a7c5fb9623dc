/** What a type1 container says of its IOMMU, and kernels that say too little, too much, or nonsense. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { core } from "../../src/core.ts";
import type { Type1Info } from "../../src/iommu.ts";
import { modelKernel } from "../../src/model/index.ts";
import type { Passing } from "../../src/through.ts";
import { capability, info } from "../reference/type1-info.ts";
import { failure } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { recording } from "../support/recording.ts";

/** All but where an x86 has its interrupts. */
const BUT_INTERRUPTS = [
  { start: 0n, last: 0xfedf_ffffn },
  { start: 0xfef0_0000n, last: 0xffff_ffff_ffff_ffffn },
];

/** The container's info where the kernel answers with 0 and these bytes, as far as there is room for them. */
function told(bytes: Uint8Array, more: (call: Passing) => void = () => {}) {
  const model = modelKernel({ platform: "type1" });
  const after = (call: Passing): void => {
    const { memory, at } = call as Required<Passing>;
    const room = new DataView(memory.buffer, memory.byteOffset + at).getUint32(0, true);
    memory.set(bytes.subarray(0, room), at);
    more(call);
  };
  const record = recording(faulty(model, { call: "GET_INFO", times: 99, answer: 0, after }));
  const container = openContainer({ kernel: record, groups: [26] });
  record.take();
  const inUse = core.bytesInUse();
  try {
    return { info: container.info(), asked: record.take().map(({ argsz }) => argsz) };
  } finally {
    assert.is(core.bytesInUse(), inUse, "the room for the answer is given back");
    container.close();
  }
}

/** What makes no sense must be said, and must not take the process with it. */
function malformed(bytes: Uint8Array, words: string): void {
  const error = failure("ERR_MALFORMED_INFO", () => told(bytes));
  assert.match(error.message, words);
  assert.is(error.syscall, "VFIO_IOMMU_GET_INFO");
}

/** An info with its capabilities behind it, one after the other. */
function withCapabilities(...make: readonly ((next: number) => Uint8Array)[]): Uint8Array {
  const lengths = make.map((one) => one(0).length);
  const total = lengths.reduce((sum, length) => sum + length, 24);
  const result = info(total, 3, 0x40201000n, 24);
  let at = 24;
  for (const [i, one] of make.entries()) {
    const end = at + (lengths[i] ?? 0);
    result.set(one(i === make.length - 1 ? 0 : end), at);
    at = end;
  }
  return result;
}

const ranges =
  (...each: readonly (readonly [bigint, bigint])[]) =>
  (next: number) =>
    capability(
      1,
      next,
      [4, BigInt(each.length)],
      [4, 0n],
      ...each.flatMap(([a, b]) => [[8, a] as const, [8, b] as const]),
    );
const available = (count: bigint) => (next: number) => capability(3, next, [4, count], [4, 0n]);
const migration = (next: number) => capability(2, next, [4, 0n], [4, 0n], [8, 0x1000n], [8, 1n << 30n]);

test("it is asked for twice: the first answer says how much room the second one takes", () => {
  for (const iommuVersion of [1, 2] as const) {
    const model = modelKernel({ platform: "type1", iommuVersion });
    const kernel = recording(model);
    const container = openContainer({ kernel, groups: [26] });
    kernel.take();
    const { hugepages, ...said } = container.info();
    assert.is(hugepages?.length, 2);
    assert.equal(said, {
      kind: "type1",
      version: iommuVersion,
      cpuPageSize: 4096,
      pageSizes: 0x40201000n,
      lockedMemory: model.lockedMemory(),
      ranges: [
        { start: 0n, last: 0xfedf_ffffn },
        { start: 0xfef0_0000n, last: (1n << 48n) - 1n },
      ],
      rangesFrom: "kernel",
      mapsAvailable: 65535,
    });
    const asked = kernel.take().map(({ argsz }) => Number(argsz));
    assert.is(asked.length, 2);
    assert.is(asked[0], 24);
    assert.ok((asked[1] ?? 0) > 24);
    container.close();
  }
});

test("a kernel that says nothing of ranges is not taken to allow all IOVAs, and does not count maps", () => {
  const model = modelKernel({ platform: "type1", infoCapabilities: false });
  const container = openContainer({ kernel: model, groups: [26] });
  const said = container.info() as Type1Info;
  assert.equal([said.ranges, said.rangesFrom, "mapsAvailable" in said], [BUT_INTERRUPTS, "reserved_regions", false]);
  container.close();
});

test("capabilities are found in any order, and unknown ones passed over", () => {
  const unknown = (next: number) => capability(77, next, [8, 1n], [8, 2n]);
  for (const order of [
    [ranges([0n, 0xfffn]), migration, available(5n)],
    [available(5n), unknown, ranges([0n, 0xfffn])],
    [unknown, migration, available(5n), unknown, ranges([0n, 0xfffn])],
  ]) {
    const { info: said } = told(withCapabilities(...order));
    assert.equal(said.kind === "type1" && [said.ranges, said.mapsAvailable], [[{ start: 0n, last: 0xfffn }], 5]);
  }
  const { info: only } = told(withCapabilities(migration));
  assert.equal(only.kind === "type1" && [only.ranges, only.mapsAvailable], [BUT_INTERRUPTS, undefined]);
});

test("no range at all is what the kernel says, and stays so", () => {
  const { info: said } = told(withCapabilities(ranges()));
  assert.equal(said.kind === "type1" && said.ranges, []);
});

test("an answer that grows is asked for again, and one that grows for ever is not", () => {
  const whole = withCapabilities(ranges([0n, 0xfffn]), available(1n));
  let asks = 0;
  const growing = (call: Passing) => {
    const { memory, at } = call as Required<Passing>;
    // The first two times the kernel finds that it has more to say than it was given room for.
    if (asks++ < 2) new DataView(memory.buffer, memory.byteOffset + at).setUint32(0, whole.length + asks, true);
  };
  const { asked } = told(whole, growing);
  assert.equal(asked, [24, whole.length + 1, whole.length + 2]);
  const error = failure("ERR_MALFORMED_INFO", () =>
    told(whole, ({ memory, at }) => {
      const view = new DataView(memory?.buffer as ArrayBuffer, (memory?.byteOffset ?? 0) + (at ?? 0));
      view.setUint32(0, 1000 + asks++, true);
    }),
  );
  assert.match(error.message, "every time");
  malformed(info(24, 3, 0x1000n, 0).fill(0xff, 0, 4), "it would take");
});

test("a chain that leads outside, goes round, or ends amid a capability is refused", () => {
  for (const first of [0, 4, 23, 33, 40, 0x1000, 0xffff_fff8, 0xffff_ffff]) {
    malformed(info(40, 3, 0x1000n, first), "leads outside");
  }
  for (const next of [8, 41, 48, 0xffff_fff8]) {
    const bytes = info(48, 3, 0x1000n, 24);
    bytes.set(capability(3, next, [4, 1n]), 24);
    malformed(bytes, "leads outside");
  }
  const ring = info(48, 3, 0x1000n, 24);
  ring.set(capability(1, 40), 24);
  ring.set(capability(3, 24), 40);
  malformed(ring, "does not end");
  const long = withCapabilities(ranges([0n, 0xfffn]));
  new DataView(long.buffer).setUint32(24 + 8, 2, true);
  malformed(long, "leads outside");
});

test("ranges that overlap, or end before they begin, or do not ascend, are refused", () => {
  for (const wrong of [
    ranges([0x2000n, 0x1fffn]),
    ranges([0n, 0xfffn], [0xfffn, 0x2000n]),
    ranges([0x2000n, 0x2fffn], [0n, 0xfffn]),
    ranges([0n, 0xffff_ffff_ffff_ffffn], [0n, 0xfffn]),
  ]) {
    malformed(withCapabilities(wrong), "ascending");
  }
  const { info: touching } = told(withCapabilities(ranges([0n, 0xfffn], [0x1000n, 0x1fffn])));
  assert.is(touching.kind === "type1" && touching.ranges.length, 2);
});

test("an answer that is no success is an error with the call's own name", () => {
  const model = modelKernel({ platform: "type1" });
  const kernel = faulty(model);
  const container = openContainer({ kernel, groups: [26] });
  for (const answer of [no.EFAULT, no.EINVAL, 1]) {
    kernel.fail({ call: "GET_INFO", answer });
    const error = failure("ERR_KERNEL", () => container.info());
    assert.equal([error.syscall, error.errno], ["VFIO_IOMMU_GET_INFO", answer < 0 ? answer : undefined]);
  }
  assert.is(container.info().kind, "type1");
  container.close();
  failure("ERR_CLOSED", () => container.info());
});

test.run();
