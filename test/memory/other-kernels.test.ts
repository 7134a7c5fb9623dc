/** Memory and container are to be of one kernel, and of one process of it: others are refused, whatever stands in front. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Witness } from "../../src/cli/witness.ts";
import { openContainer } from "../../src/container/open.ts";
import { linuxKernel } from "../../src/linux/index.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { faulty, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { isSameKernel, type Syscalls } from "../../src/syscalls.ts";
import { recordTrace } from "../../src/trace/index.ts";
import { failure } from "../support/failure.ts";

function attaching(containerKernel: Syscalls, memoryKernel: Syscalls | undefined) {
  const container = openContainer({ kernel: containerKernel, groups: [26] });
  const memory = new MemsegTable(memoryKernel === undefined ? {} : { kernel: memoryKernel });
  const info = container.info();
  container.createWindow(planWindow({ memory, info, growTo: 1n << 30n }));
  return () => container.attach(memory);
}

test("memory of another kernel is refused, and nothing was asked", () => {
  const other = modelKernel({ pageSize: 4096 });
  for (const kernel of [other, faulty(other), recordTrace(other, () => {}), new Witness(other).kernel]) {
    const one = modelKernel({ pageSize: 4096 });
    const hash = () => [one.hash(), other.hash()];
    const attach = attaching(faulty(one), kernel);
    const before = hash();
    const error = failure("ERR_OTHER_KERNEL", attach);
    assert.match(error.message, "another kernel than the container");
    assert.equal(hash(), before);
  }
});

test("a process of the same machine has other memory", () => {
  const one = modelKernel();
  failure("ERR_OTHER_KERNEL", attaching(one, one.spawn()));
});

test("what stands in front of the same kernel is the same, on either side", () => {
  for (const front of [
    (kernel: Syscalls) => kernel,
    (kernel: Syscalls) => faulty(faulty(kernel)),
    (kernel: Syscalls) => recordTrace(kernel, () => {}),
    (kernel: Syscalls) => new Witness(faulty(kernel)).kernel,
    (kernel: Syscalls) => Object.create(kernel, {}) as Syscalls,
  ]) {
    const model = modelKernel();
    assert.ok(isSameKernel(front(model), model));
    if (Object.getPrototypeOf(front(model)) === model) continue; // its private parts are out of reach through that
    attaching(front(model), model)();
    const another = modelKernel();
    attaching(another, front(another))();
  }
});

test("a table without a kernel holds memory that the program says is there", () => {
  attaching(modelKernel(), undefined)();
});

test("of a kernel that says nothing of itself nothing is known", () => {
  const bare = (model: Syscalls): Syscalls =>
    ({
      name: "mine",
      pageSize: model.pageSize,
      open: (path) => model.open(path),
      close: (fd) => model.close(fd),
      ioctl: (...all) => model.ioctl(...all),
      ioctlStruct: (...all) => model.ioctlStruct(...all),
      ioctlBatch: (...all) => model.ioctlBatch(...all),
      mmap: (...all) => model.mmap(...all),
      munmap: (...all) => model.munmap(...all),
      view: (...all) => model.view(...all),
      unview: (view) => model.unview(view),
      lockedMemory: () => model.lockedMemory(),
      physicalAddresses: (...all) => model.physicalAddresses(...all),
    }) satisfies Syscalls;
  const model = modelKernel();
  attaching(bare(model), model)();
});

test("this machine's kernel is one, however often it is asked for, and never the model", () => {
  assert.ok(isSameKernel(linuxKernel(), linuxKernel()));
  assert.ok(isSameKernel(faulty(linuxKernel()), linuxKernel()));
  assert.not.ok(isSameKernel(linuxKernel(), modelKernel()));
});

test("interfaces that stand in front of each other in a ring say nothing", () => {
  const ring = { name: "ring" } as { name: string; inner?: unknown };
  ring.inner = ring;
  assert.ok(isSameKernel(ring as never, modelKernel()));
});

test.run();
