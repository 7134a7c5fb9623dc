import vm from "node:vm";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { IommuType, MapFlag } from "../../src/syscalls.ts";
import { errno, GiB, HIGH, KiB, MiB, Rig, RW } from "./rig.ts";

const page = 4n * KiB;

/** Each byte says where it is. */
const pattern = (length: number, seed = 1) => Uint8Array.from({ length }, (_, index) => (index * 7 + seed) % 251);

function filled(kernel: ModelKernel, va: bigint, bytes: Uint8Array): void {
  const view = kernel.view(va, BigInt(bytes.length));
  view.set(bytes);
  kernel.unview(view);
}

function contents(kernel: ModelKernel, va: bigint, length: number): Uint8Array {
  const view = kernel.view(va, BigInt(length));
  const bytes = view.slice();
  kernel.unview(view);
  return bytes;
}

/** What the device reads there; its fault, if it has one. */
function read(kernel: ModelKernel, iova: bigint, length: number, group = 26) {
  const into = new Uint8Array(length);
  const { bytes, fault } = kernel.device(group).read(iova, into);
  return fault === undefined ? into : { bytes, ...fault };
}

/** Both kinds of IOMMU: a program whose memory is mapped by `map`, registered where that is needed. */
const kinds = {
  powernv(options: ModelOptions = {}) {
    const kernel = modelKernel({ ...options, platform: "powernv" });
    const program = new Rig(kernel).start(options.groups?.[0]);
    const va = program.allocate(64n * page);
    assert.is(program.register(va, 64n * page), 0);
    return { kernel, program, va };
  },
  type1(options: ModelOptions = {}) {
    const kernel = modelKernel({ ...options, platform: "type1" });
    const program = new Rig(kernel).start(options.groups?.[0], IommuType.TYPE1v2);
    return { kernel, program, va: program.allocate(64n * page) };
  },
};

for (const [name, begin] of Object.entries(kinds)) {
  const dma = suite(`a device on ${name}`);

  dma("moves bytes both ways, at any offset, over the borders of pages and of maps", () => {
    const { kernel, program, va } = begin();
    // The second map's memory lies before the first one's.
    assert.is(program.map(va + 8n * page, MiB, 2n * page), 0);
    assert.is(program.map(va, MiB + 2n * page, 2n * page), 0);
    const bytes = pattern(3 * 4096);
    assert.equal(kernel.device(26).write(MiB + 100n, bytes), { bytes: bytes.length });
    assert.equal(contents(kernel, va + 8n * page + 100n, 8192 - 100), bytes.slice(0, 8192 - 100));
    assert.equal(contents(kernel, va, 4096 + 100), bytes.slice(8192 - 100));
    assert.equal(read(kernel, MiB + 100n, bytes.length), bytes);
    filled(kernel, va + 8n * page, pattern(4096, 9));
    assert.equal(read(kernel, MiB + 10n, 50), pattern(4096, 9).slice(10, 60));
    assert.equal(kernel.device(26).write(MiB, new Uint8Array(0)), { bytes: 0 });
  });

  dma("stops at the first byte that is not mapped, and says where and why", () => {
    const { kernel, program, va } = begin();
    program.map(va, MiB, 2n * page);
    const fault = { iova: MiB + 2n * page, why: "not mapped" };
    assert.equal(kernel.device(26).write(MiB + 4096n + 1n, pattern(8192)), { bytes: 4095, fault });
    assert.equal(contents(kernel, va + page + 1n, 4095), pattern(4095));
    assert.equal(read(kernel, MiB - 1n, 2), { bytes: 0, iova: MiB - 1n, why: "not mapped" });
    assert.equal(read(kernel, 0n, 1), { bytes: 0, iova: 0n, why: "not mapped" });
    assert.equal(read(kernel, 2n ** 64n - 1n, 1), { bytes: 0, iova: 2n ** 64n - 1n, why: "not mapped" });
  });

  dma("goes only the way that the map allows", () => {
    const { kernel, program, va } = begin({ ...(name === "type1" ? { readsThroughWriteOnly: false } : {}) });
    program.map(va, 0n, page, { flags: 1 });
    program.map(va + page, page, page, { flags: 2 });
    filled(kernel, va, pattern(8192));
    // On bare metal who may write may read as well.
    const stopped = { bytes: 4096, iova: page, why: "not readable" };
    assert.equal(read(kernel, 0n, 8192), name === "powernv" ? pattern(8192) : stopped);
    const fault = { iova: 0n, why: "not writable" };
    assert.equal(kernel.device(26).write(0n, new Uint8Array(4096)), { bytes: 0, fault });
    assert.equal(contents(kernel, va, 4096), pattern(4096), "nothing of it arrived");
    assert.equal(kernel.device(26).write(page, new Uint8Array(4096)), { bytes: 4096 });
  });

  dma("reaches nothing after UNMAP, also where it did a moment ago", () => {
    const { kernel, program, va } = begin();
    program.map(va, 0n, 2n * page);
    assert.is(kernel.device(26).write(0n, pattern(8192)).bytes, 8192);
    assert.is(program.unmap(0n, 2n * page), 0);
    assert.equal(read(kernel, 0n, 8192), { bytes: 0, iova: 0n, why: "not mapped" });
    assert.is(kernel.device(26).write(page, new Uint8Array(1)).bytes, 0);
    assert.equal(contents(kernel, va, 8192), pattern(8192));
  });

  dma("still reaches the old pages after munmap, and not what is mmapped there since", () => {
    const { kernel, program, va } = begin();
    filled(kernel, va, pattern(8192));
    program.map(va, 0n, 2n * page);
    assert.is(kernel.munmap(va, 2n * page), 0);
    assert.equal(read(kernel, 0n, 8192), pattern(8192));
    assert.is(kernel.mmap(va, 2n * page, RW, MapFlag.FIXED, 0), va);
    assert.equal(contents(kernel, va, 8192), new Uint8Array(8192), "the process sees new memory");
    assert.equal(kernel.device(26).write(5n, pattern(10, 3)), { bytes: 10 });
    assert.equal(contents(kernel, va, 8192), new Uint8Array(8192));
    assert.equal(read(kernel, 5n, 10), pattern(10, 3), "it reached the old memory");
    assert.equal(
      kernel.live(26).map(({ iova, length, present }) => [iova, length, present]),
      [[0n, 2n * page, false]],
    );
  });

  dma("reaches hugepages that the process gave back, until the kernel lets go of them", () => {
    const kernel = modelKernel({ platform: name as "powernv", hugepages: { 21: 2 } });
    const program = new Rig(kernel).start(26, name === "type1" ? IommuType.TYPE1v2 : IommuType.SPAPR_TCE_V2);
    const va = program.allocateHuge(4n * MiB, 21);
    if (name !== "type1") assert.is(program.register(va, 4n * MiB), 0);
    assert.is(program.map(va, 0n, 4n * MiB), 0);
    const bytes = pattern(3 * 2 ** 20);
    assert.is(kernel.device(26).write(MiB / 2n, bytes).bytes, bytes.length);
    kernel.munmap(va, 4n * MiB);
    assert.equal(read(kernel, MiB / 2n, bytes.length), bytes);
    assert.is(
      program.allocateHuge(2n * MiB, 21),
      BigInt(-errno.ENOMEM),
      "the pool is empty as long as they are pinned",
    );
    program.unmap(0n, 4n * MiB);
    if (name !== "type1") assert.is(program.unregister(va, 4n * MiB), 0);
    assert.equal(kernel.snapshot().hugepages, [{ pageShift: 21, free: 2 }]);
  });

  dma("of one container does not reach what another has mapped at the same IOVA", () => {
    const { kernel, program, va } = begin({ groups: [1, 2] });
    const other = new Rig(kernel).start(2, name === "type1" ? IommuType.TYPE1v2 : IommuType.SPAPR_TCE_V2);
    if (name !== "type1") other.register(va, 64n * page);
    program.map(va, 0n, page);
    assert.equal(read(kernel, 0n, 1, 2), { bytes: 0, iova: 0n, why: "not mapped" });
    other.map(va + page, 0n, page);
    kernel.device(1).write(0n, pattern(4096, 1));
    kernel.device(2).write(0n, pattern(4096, 2));
    assert.equal(contents(kernel, va, 4096), pattern(4096, 1));
    assert.equal(contents(kernel, va + page, 4096), pattern(4096, 2));
  });

  dma("of a second group in a container reaches the same", () => {
    const { kernel, program, va } = begin({ groups: [1, 2] });
    program.setContainer(kernel.open("/dev/vfio/2"));
    program.map(va, 0n, page);
    kernel.device(2).write(0n, pattern(4096));
    assert.equal(read(kernel, 0n, 4096, 1), pattern(4096));
  });

  dma("moves nothing before there is a container and its driver, and nothing once they are closed", () => {
    const { kernel, program, va } = begin({ groups: [26, 7] });
    assert.equal(read(kernel, 0n, 1, 7), { bytes: 0, iova: 0n, why: "the group is in no container" });
    const bare = new Rig(kernel);
    bare.container = kernel.open("/dev/vfio/vfio");
    bare.setContainer(kernel.open("/dev/vfio/7"));
    assert.equal(read(kernel, 0n, 1, 7), { bytes: 0, iova: 0n, why: "its container has no IOMMU driver" });
    program.map(va, 0n, page);
    kernel.close(program.container);
    assert.is(kernel.device(26).write(0n, pattern(1)).bytes, 1, "the group keeps the container");
    for (const { fd } of kernel.snapshot().descriptors) kernel.close(fd);
    assert.equal(read(kernel, 0n, 1), { bytes: 0, iova: 0n, why: "the group is in no container" });
  });

  dma("shares its memory with views that are open", () => {
    const { kernel, program, va } = begin();
    program.map(va, 0n, 2n * page);
    kernel.device(26).write(page, pattern(10));
    const view = kernel.view(va, 64n * page);
    assert.equal(view.slice(4096, 4106), pattern(10), "written before the view was there");
    kernel.device(26).write(0n, pattern(10, 5));
    assert.equal(view.slice(0, 10), pattern(10, 5));
    view[8191] = 77;
    assert.equal(read(kernel, 2n * page - 1n, 1), Uint8Array.of(77));
    kernel.unview(view);
    assert.equal(read(kernel, 0n, 10), pattern(10, 5));
  });

  dma.run();
}

const spapr = suite("a device on sPAPR");

spapr("reaches a zombie as if nothing had happened", () => {
  const { kernel, program, va } = kinds.powernv();
  program.map(va, 0n, page);
  assert.is(program.unregister(va, 64n * page), 0);
  kernel.munmap(va, 64n * page);
  assert.is(kernel.device(26).write(0n, pattern(4096)).bytes, 4096);
  assert.equal(read(kernel, 0n, 4096), pattern(4096));
});

spapr("still reaches what should be gone when UNMAP was given MAP's struct, and not what should have stayed", () => {
  const { kernel, program, va } = kinds.powernv();
  for (const [at, iova] of [MiB, 2n * MiB, 3n * MiB].entries()) program.map(va + BigInt(at) * page, iova, page);
  // The kernel takes vaddr, which is 0 there, for the IOVA, and the IOVA for the size.
  assert.is(program.unmapWithMapStruct(0n, 2n * MiB, page), 0);
  assert.is(kernel.device(26).write(MiB, pattern(1)).bytes, 0, "below it nothing is left");
  assert.is(kernel.device(26).write(2n * MiB, pattern(1)).bytes, 1, "the page that was meant is still there");
  assert.is(kernel.device(26).write(3n * MiB, pattern(1)).bytes, 1);
});

spapr("follows a TCE that was replaced, at once and without a word", () => {
  const { kernel, program, va } = kinds.powernv();
  program.map(va, 0n, page);
  kernel.device(26).write(0n, pattern(4, 1));
  program.map(va + page, 0n, page);
  kernel.device(26).write(0n, pattern(4, 2));
  assert.equal(contents(kernel, va, 4), pattern(4, 1));
  assert.equal(contents(kernel, va + page, 4), pattern(4, 2));
});

spapr("moves data through TCE pages of 2 MiB, and through a window at 1 << 59", () => {
  const kernel = modelKernel({ platform: "pseries" });
  const program = new Rig(kernel).start();
  const va = program.allocateHuge(4n * MiB, 21);
  program.register(va, 4n * MiB);
  assert.is(program.create(21, 8n * GiB), 0);
  assert.is(program.map(va, HIGH + 8n * GiB - 4n * MiB, 4n * MiB), 0);
  const last = HIGH + 8n * GiB - 1n;
  assert.equal(kernel.device(26).write(last - 9n, pattern(10)), { bytes: 10 });
  assert.equal(contents(kernel, va + 4n * MiB - 10n, 10), pattern(10));
  assert.equal(read(kernel, last, 2), { bytes: 1, iova: last + 1n, why: "not mapped" });
});

spapr("loses what a window had when it is removed", () => {
  const { kernel, program, va } = kinds.powernv();
  program.map(va, 0n, page);
  program.remove(0n);
  assert.is(kernel.device(26).write(0n, pattern(1)).fault?.why, "not mapped");
});

spapr.run();

const arguments_ = suite("a device's arguments");

arguments_("are refused when they cannot be", () => {
  const kernel = modelKernel();
  const device = kernel.device(26);
  assert.is(device.name, "0000:00:1a.0");
  for (const act of [() => kernel.device(27), () => device.read(-1n, new Uint8Array(1))]) {
    assert.throws(act, (error: { code: string }) => error.code === "ERR_OUT_OF_RANGE");
  }
  const beyond = () => device.write(2n ** 64n - 1n, new Uint8Array(2));
  assert.throws(beyond, (error: { code: string }) => error.code === "ERR_OUT_OF_RANGE");
  for (const act of [() => device.read(0 as never, new Uint8Array(1)), () => device.read(0n, [1] as never)]) {
    assert.throws(act, (error: { code: string }) => error.code === "ERR_INVALID_ARG_TYPE");
  }
});

arguments_("may be arrays of another realm", () => {
  const { kernel, va } = kinds.powernv();
  const [foreign, back] = ["Uint8Array.of(1, 2, 3)", "new Uint8Array(3)"].map((made) => vm.runInNewContext(made));
  assert.equal(kernel.device(26).write(0n, foreign).fault?.why, "not mapped");
  kernel.write?.(va, foreign);
  kernel.read?.(va, back);
  assert.equal([...back], [1, 2, 3]);
  for (const made of ["new Uint8ClampedArray(3)", "[1]", "({ [Symbol.toStringTag]: 'Uint8Array' })"]) {
    const act = () => kernel.device(26).read(0n, vm.runInNewContext(made));
    assert.throws(act, (error: { code: string }) => error.code === "ERR_INVALID_ARG_TYPE");
  }
});

arguments_.run();
