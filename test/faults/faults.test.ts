/** The kernel that fails on demand: which calls a fault meets, and what becomes of them. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { faulty, killed } from "../../src/model/faults.ts";
import { type ModelOptions, ModelProcessEnded, modelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection, VfioCall } from "../../src/syscalls.ts";
import { refused, thrownBy } from "../support/failure.ts";
import { no } from "../support/faulty.ts";

const NODE = "/dev/vfio/vfio";

function rig(options: ModelOptions = {}) {
  const model = modelKernel(options);
  return { model, kernel: faulty(model) };
}

test("without a fault every call passes, and is counted", () => {
  const { model, kernel } = rig();
  const fd = kernel.open(NODE);
  assert.is(kernel.ioctl(fd, VfioCall.GET_API_VERSION, 0), 0);
  assert.is(kernel.close(fd), 0);
  assert.is(kernel.calls, 3);
  assert.equal(kernel.refused, []);
  assert.equal(model.leaks(), []);
});

test("the n-th call of a name is answered, and the kernel does not see it", () => {
  const { model, kernel } = rig();
  kernel.fail({ call: "open", nth: 1, answer: no.EMFILE });
  const first = kernel.open(NODE);
  kernel.close(first);
  assert.is(kernel.open(NODE), no.EMFILE);
  assert.equal(model.snapshot().descriptors, []);
  assert.ok(kernel.open(NODE) >= 0);
  assert.equal(kernel.refused, ["open"]);
});

test("the n-th call of all is answered, whatever it is", () => {
  const { kernel } = rig();
  kernel.fail({ nth: 2, answer: no.EIO });
  const fd = kernel.open(NODE);
  assert.is(kernel.ioctl(fd, VfioCall.GET_API_VERSION, 0), 0);
  assert.is(kernel.close(fd), no.EIO);
  assert.is(kernel.close(fd), 0);
});

test("a fault happens once, a number of times in a row, or always", () => {
  const outcomes = (times?: number) => {
    const { kernel } = rig();
    kernel.fail({ call: "open", nth: 1, answer: no.EIO, ...(times === undefined ? {} : { times }) });
    return Array.from({ length: 6 }, () => (kernel.open(NODE) >= 0 ? "open" : "EIO")).join(" ");
  };
  assert.is(outcomes(), "open EIO open open open open");
  assert.is(outcomes(3), "open EIO EIO EIO open open");
  assert.is(outcomes(Number.POSITIVE_INFINITY), "open EIO EIO EIO EIO EIO");
});

test("a fault is counted from when it was set up, and heal ends it", () => {
  const { kernel } = rig();
  kernel.open(NODE);
  kernel.fail({ call: "open", times: Number.POSITIVE_INFINITY, answer: no.EIO });
  assert.is(kernel.open(NODE), no.EIO);
  kernel.heal();
  assert.ok(kernel.open(NODE) >= 0);
});

test("a name may be told by its last words, and as a whole", () => {
  for (const call of ["GET_API_VERSION", "API_VERSION", "VFIO_GET_API_VERSION"]) {
    const { kernel } = rig();
    kernel.fail({ call, answer: 7 });
    assert.is(kernel.ioctl(kernel.open(NODE), VfioCall.GET_API_VERSION, 0), 7);
  }
});

test("a call that was made and then answered falsely has happened", () => {
  const { model, kernel } = rig();
  const fd = kernel.open(NODE);
  kernel.fail({ call: "close", answer: no.EINTR, made: true });
  assert.is(kernel.close(fd), no.EINTR);
  assert.equal(model.snapshot().descriptors, []);
});

test("an answer of 0 to a call that was not made is a lie too", () => {
  const { model, kernel } = rig();
  const fd = kernel.open(NODE);
  kernel.fail({ call: "close", answer: 0 });
  assert.is(kernel.close(fd), 0);
  assert.is(model.snapshot().descriptors.length, 1);
});

test("mmap is answered as a bigint", () => {
  const { kernel } = rig();
  kernel.fail({ call: "mmap", answer: no.ENOMEM });
  assert.is(kernel.mmap(0n, 4096n, Protection.NONE, MapFlag.NORESERVE, 0), BigInt(no.ENOMEM));
});

test("what happens before a call changes its answer, and what happens after it does not", () => {
  const limits = { limit: 1n << 30n, privileged: false };
  const withLimit = (bytes: bigint) => () => void Object.assign(limits, { limit: bytes });
  const { kernel } = rig({ lockedMemory: limits });
  const seen: unknown[] = [];
  kernel.fail({ call: "TCE_CREATE", before: withLimit(0n), after: withLimit(1n << 30n) });
  kernel.fail({ call: "GET_STATUS", after: ({ name, at }) => seen.push(name, typeof at) });
  const container = openContainer({ kernel, groups: [26] });
  assert.equal(seen, ["VFIO_GROUP_GET_STATUS", "number"]);
  const memory = new Uint8Array(64);
  const view = new DataView(memory.buffer);
  view.setUint32(0, 40, true);
  view.setUint32(8, 12, true);
  view.setBigUint64(16, 1n << 30n, true);
  view.setUint32(24, 1, true);
  const create = () => kernel.ioctlStruct(3, VfioCall.IOMMU_SPAPR_TCE_CREATE, memory, 0);
  assert.is(create(), no.ENOMEM);
  assert.is(create(), 0);
  assert.equal(kernel.refused, [], "the kernel itself said no");
  container.close();
});

test("what the kernel wrote into a struct can be changed before the program sees it", () => {
  const { kernel } = rig();
  kernel.fail({
    call: "GROUP_GET_STATUS",
    after: ({ memory, at = 0 }) => new DataView((memory as Uint8Array).buffer).setUint32(at + 4, 0, true),
  });
  const error = thrownBy(() => openContainer({ kernel, groups: [26] }));
  assert.is(error.code, "ERR_GROUP_NOT_VIABLE");
});

test("where several faults meet a call, the first answer counts and all of the callbacks run", () => {
  const { kernel } = rig();
  let ran = 0;
  kernel.fail(
    { before: () => ran++ },
    { answer: no.EIO, after: () => ran++ },
    { answer: no.EBUSY, after: () => ran++ },
  );
  assert.is(kernel.open(NODE), no.EIO);
  assert.is(ran, 3);
});

test("a process that is killed in a call makes that call and no other, and leaves nothing on the machine", () => {
  const { model, kernel } = rig();
  kernel.fail(killed(model, { call: "SET_IOMMU" }));
  assert.instance(
    thrownBy(() => openContainer({ kernel, groups: [26] })),
    ModelProcessEnded,
  );
  assert.instance(
    thrownBy(() => kernel.open(NODE)),
    ModelProcessEnded,
  );
  assert.equal(model.leaks(), []);
  const next = model.spawn();
  openContainer({ kernel: next, groups: [26] }).close();
  assert.equal(next.leaks(), []);
});

test("a fault that could never happen is refused", () => {
  const { kernel } = rig();
  for (const wrong of [
    { call: "MAP_DNA", answer: -1 },
    { call: "", answer: -1 },
    { call: "AP_DMA", answer: -1 },
    { nth: -1, answer: -1 },
    { nth: 0.5, answer: -1 },
    { times: 0, answer: -1 },
    { times: Number.NaN, answer: -1 },
    { answer: -4096 },
    { answer: 0.5 },
    { answer: 2 ** 31 },
  ]) {
    refused("ERR_OUT_OF_RANGE", () => kernel.fail(wrong));
    assert.is(kernel.open("/none"), no.ENOENT, "nothing of it was set up");
  }
});

test.run();
