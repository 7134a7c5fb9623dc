import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Witness } from "../../src/cli/witness.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { BATCH_ENTRY_BYTES, VfioCall } from "../../src/syscalls.ts";
import { GiB, HIGH, KiB, MiB, Rig } from "../model/rig.ts";
import { faulty, no } from "../support/faulty.ts";

const page = 4n * KiB;

/** The PowerNV default window, and one of our own in front of a program that has memory registered. */
function watched(options: ModelOptions = {}) {
  const model = modelKernel(options);
  const witness = new Witness(model);
  const program = new Rig(witness.kernel).start();
  const va = program.allocate(64n * page);
  assert.is(program.register(va, 64n * page), 0);
  return { model, witness, program, va };
}

const seeing = suite("a witness");

seeing("is a kernel like the one behind it", () => {
  const model = modelKernel({ pageSize: 65536 });
  const { kernel } = new Witness(model);
  assert.is(kernel.name, "model");
  assert.is(kernel.pageSize, 65536);
  const container = kernel.open("/dev/vfio/vfio");
  assert.is(kernel.ioctl(container, VfioCall.CHECK_EXTENSION, 7), 1);
  const va = kernel.mmap(0n, 65536n, 3, 0, 0);
  const view = kernel.view(va, 65536n);
  view[0] = 1;
  kernel.unview(view);
  assert.is(kernel.munmap(va, 65536n), 0);
  assert.equal(kernel.lockedMemory(), model.lockedMemory());
  assert.is(kernel.close(container), 0);
  assert.equal(model.leaks(), []);
});

seeing("counts in pages of 4 KiB what is mapped, whatever the window's own pages are", () => {
  const { witness, program } = watched();
  assert.is(program.create(16, GiB), 0);
  const large = program.allocate(64n * KiB * 3n);
  const va = (large + 0xffffn) & ~0xffffn;
  program.register(va, 128n * KiB);
  assert.is(program.map(va, HIGH, 128n * KiB), -22, "ordinary pages are too small for it");
  assert.is(witness.livePages, 0);
  const huge = program.allocateHuge(2n * MiB, 21);
  assert.is(program.register(huge, 2n * MiB), 0);
  assert.is(program.map(huge, HIGH, 2n * MiB), 0);
  assert.is(witness.livePages, 512);
});

seeing("counts a page that goes while it is in use as interrupted, and one that was given up not", () => {
  const { witness, program, va } = watched();
  program.map(va, 0n, 8n * page);
  witness.lettingGo(0n, 3n * page);
  assert.is(witness.interrupted, 0);
  program.unmap(0n, 5n * page);
  assert.equal([witness.livePages, witness.interrupted], [3, 2]);
});

seeing("counts a page that was given up and mapped again as in use", () => {
  const { witness, program, va } = watched();
  program.map(va, 0n, page);
  witness.lettingGo(0n, page);
  program.map(va + page, 0n, page);
  program.unmap(0n, page);
  assert.equal([witness.livePages, witness.interrupted], [0, 1]);
});

seeing("takes IOVAs that were given up before anything was there for what they are: nothing", () => {
  const { witness, program, va } = watched();
  witness.lettingGo(0n, 4n * page);
  program.map(va, 0n, 4n * page);
  program.unmap(0n, 4n * page);
  assert.is(witness.interrupted, 4);
});

seeing("counts nothing twice", () => {
  const { witness, program, va } = watched();
  program.map(va, 0n, 4n * page);
  program.unmap(0n, 4n * page);
  program.unmap(0n, 4n * page);
  assert.equal([witness.livePages, witness.interrupted], [0, 4]);
});

seeing("counts no IOVA as interrupted once everything was given up", () => {
  const { witness, program, va } = watched();
  program.map(va, 0n, 4n * page);
  witness.lettingGoOfAll();
  program.remove(0n);
  assert.equal([witness.livePages, witness.interrupted], [0, 0]);
});

seeing("sees that a window took with it what was live in it, by whichever of its IOVAs it was named", () => {
  for (const at of [HIGH, HIGH + page, HIGH + GiB - 1n]) {
    const { witness, program, va } = watched();
    assert.is(program.create(12, GiB), 0);
    program.map(va, 0n, 2n * page);
    program.map(va, HIGH + MiB, 3n * page);
    assert.is(program.remove(at), 0);
    assert.equal([witness.livePages, witness.interrupted], [2, 3], `removed by ${at.toString(16)}`);
  }
});

seeing("sees that the default window, which nobody made, took with it what was live in it", () => {
  const { witness, program, va } = watched();
  assert.is(program.create(12, GiB), 0);
  program.map(va, MiB, 2n * page);
  program.map(va, HIGH, 3n * page);
  assert.is(program.remove(5n * page), 0);
  assert.equal([witness.livePages, witness.interrupted], [3, 2]);
});

seeing("counts windows that were made, and the ones after the first as resizes; none that could not be", () => {
  const { witness, program } = watched();
  assert.is(witness.resizes, 0);
  assert.is(program.create(13, GiB), -22);
  assert.is(witness.resizes, 0);
  program.remove(0n);
  program.create(12, GiB);
  assert.is(witness.resizes, 0);
  program.remove(0n);
  program.create(12, 2n * GiB);
  assert.equal([witness.windowsMade, witness.resizes], [2, 1]);
});

seeing("is not fooled by a MAP that the kernel refused", () => {
  const { witness, program, va } = watched();
  program.map(va, 0n, 4n * page);
  assert.is(program.map(va, 0n, 4n * page, { flags: 0 }), -22);
  assert.is(program.map(va, 0n, 4n * page, { flags: 4 }), -22);
  assert.is(program.map(va, 0n, 4n * page, { argsz: 24 }), -22);
  assert.is(program.map(va + 1n, 0n, 4n * page), -22);
  assert.is(program.map(va, 0n, page + 1n), -22);
  assert.is(program.map(va, 1n, page), 1, "an IOVA that is not aligned: a positive number means failure");
  assert.is(program.map(va, 4n * GiB, page), -6);
  assert.is(program.map(va + 63n * page, MiB, 2n * page), -22, "the second page is not registered");
  assert.equal([witness.livePages, witness.interrupted], [4, 0]);
});

seeing("is not fooled by an UNMAP or a REMOVE that the kernel refused", () => {
  const { witness, program, va } = watched();
  program.map(va, 0n, 4n * page);
  assert.is(program.unmap(0n, 4n * page, { flags: 1 }), -22);
  assert.is(program.unmap(0n, 4n * page, { argsz: 16 }), -22);
  assert.is(program.unmap(0n, page + 1n), -22);
  assert.is(program.unmap(1n, page), 1);
  assert.is(program.remove(0n, { flags: 1 }), -22);
  assert.is(program.remove(HIGH), -22);
  assert.equal([witness.livePages, witness.interrupted], [4, 0]);
});

seeing("counts what a MAP that failed halfway may have taken away: never too little", () => {
  const { model, witness, program, va } = watched();
  program.map(va, 0n, 16n * page);
  assert.is(program.map(va + 56n * page, 4n * page, 12n * page), -22, "8 of the 12 pages are registered");
  const really = model.snapshot().containers[0]?.windows[0]?.liveTces ?? -1;
  assert.is(really, 8);
  assert.ok(witness.livePages <= really, `${witness.livePages} live`);
  assert.ok(witness.interrupted >= 8, `${witness.interrupted} interrupted`);
});

seeing("reads a batch entry by entry, up to the one that failed", () => {
  const { witness, program, va } = watched();
  const memory = new Uint8Array(512);
  const view = new DataView(memory.buffer);
  const write = (i: number, flags: number) => {
    const at = 128 + 32 * i;
    view.setUint32(i * BATCH_ENTRY_BYTES, VfioCall.IOMMU_MAP_DMA, true);
    view.setUint32(i * BATCH_ENTRY_BYTES + 4, at, true);
    view.setUint32(at, 32, true);
    view.setUint32(at + 4, flags, true);
    view.setBigUint64(at + 8, va + BigInt(i) * page, true);
    view.setBigUint64(at + 16, BigInt(i) * MiB, true);
    view.setBigUint64(at + 24, page, true);
  };
  [3, 3, 0, 3].forEach((flags, i) => {
    write(i, flags);
  });
  assert.is(witness.kernel.ioctlBatch(program.container, memory, 0, 4), 2);
  assert.is(witness.livePages, 2, "the third failed, the fourth was never made");
  write(2, 3);
  const part = memory.subarray(2 * BATCH_ENTRY_BYTES);
  for (const i of [0, 1]) view.setUint32((2 + i) * BATCH_ENTRY_BYTES + 4, 128 + 32 * (2 + i) - 32, true);
  assert.is(witness.kernel.ioctlBatch(program.container, part, 0, 2), 2, "in memory that begins elsewhere");
  assert.is(witness.livePages, 4);
});

seeing("sees what the last call of a batch may have taken away when it failed", () => {
  const { model, witness, program, va } = watched();
  program.map(va, 0n, 16n * page);
  const memory = new Uint8Array(64);
  const view = new DataView(memory.buffer);
  view.setUint32(0, VfioCall.IOMMU_MAP_DMA, true);
  view.setUint32(4, 16, true);
  view.setUint32(16, 32, true);
  view.setUint32(20, 3, true);
  [va + 60n * page, 0n, 16n * page].forEach((field, i) => {
    view.setBigUint64(24 + 8 * i, field, true);
  });
  assert.is(witness.kernel.ioctlBatch(program.container, memory, 0, 1), 0);
  assert.is(model.snapshot().containers[0]?.windows[0]?.liveTces, 12);
  assert.ok(witness.interrupted >= 4, `${witness.interrupted} interrupted`);
});

seeing("knows that a MAP which the kernel refuses because something is live there touches none of it", () => {
  const model = modelKernel();
  const witness = new Witness(faulty(model, { call: "MAP_DMA", nth: 1, answer: no.EEXIST }));
  const program = new Rig(witness.kernel).start();
  const va = program.allocate(page);
  program.register(va, page);
  assert.is(program.map(va, 0n, page), 0);
  assert.is(program.map(va, 0n, page), no.EEXIST, "as type1 answers");
  assert.equal([witness.livePages, witness.interrupted], [1, 0]);
});

seeing("knows that what goes past a window's end does not come to the next window", () => {
  const { witness, program, va, model } = watched({ linux: "6.12.107" });
  assert.is(program.create(12, GiB), 0);
  program.map(va, 0n, 2n * page);
  program.map(va, HIGH + MiB, 2n * page);
  assert.is(program.unmap(page, 1n << 63n), 0);
  assert.equal([witness.livePages, witness.interrupted], [3, 1]);
  assert.is(
    model.live(26).reduce((sum, { length }) => sum + length, 0n),
    3n * page,
  );
});

seeing("knows that a small window of PowerNV has more TCEs than it was made with", () => {
  const { witness, program, va, model } = watched();
  assert.is(program.create(12, MiB), 0);
  assert.is(program.map(va, HIGH + MiB - page, 3n * page), 0);
  assert.equal([witness.livePages, model.live(26)[0]?.length], [3, 3n * page]);
  assert.is(program.remove(HIGH), 0);
  assert.equal([witness.livePages, witness.interrupted, model.live(26)], [0, 3, []]);
});

seeing("knows that an UNMAP which the kernel refuses, as it goes past a window's end, ends nothing", () => {
  const { witness, program, va } = watched({ linux: "6.12.113" });
  program.map(va, 0n, 2n * page);
  assert.is(program.unmap(page, 1n << 63n), 1);
  assert.equal([witness.livePages, witness.interrupted], [2, 0]);
});

seeing("looks at huge ranges without walking through them", () => {
  const { witness, program, va } = watched({ linux: "6.12.107" });
  program.map(va, 0n, 2n * page);
  assert.is(program.unmap(0n, 1n << 58n), 0);
  assert.equal([witness.livePages, witness.interrupted], [0, 2]);
});

seeing.run();
