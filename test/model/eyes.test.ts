import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ClearedRange, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { errno, GiB, HIGH, KiB, MiB, Rig } from "./rig.ts";

const page = 4n * KiB;

const snapshots = suite("snapshot");

snapshots("shows everything, in an order that does not depend on how it came about", () => {
  const kernel = modelKernel({ groups: [9, 3] });
  const program = new Rig(kernel).start(9);
  const va = program.allocate(8n * page);
  program.register(va + 4n * page, 2n * page);
  program.register(va, page);
  program.create(16, 2n * GiB);
  program.map(va + 4n * page, 0n, 2n * page);
  program.map(va + 5n * page, page, page);
  assert.equal(kernel.snapshot(), {
    descriptors: [
      { fd: 3, path: "/dev/vfio/vfio" },
      { fd: 4, path: "/dev/vfio/9" },
    ],
    groups: [
      { number: 3, open: false, container: null },
      { number: 9, open: true, container: 0 },
    ],
    containers: [
      {
        id: 0,
        fd: 3,
        groups: [9],
        windows: [
          { start: 0n, size: 2n * GiB, pageShift: 12, levels: 1, liveTces: 2, tableBytes: 8n * MiB },
          { start: HIGH, size: 2n * GiB, pageShift: 16, levels: 1, liveTces: 0, tableBytes: 512n * KiB },
        ],
        registrations: [
          { va, size: page, mapped: 0 },
          { va: va + 4n * page, size: 2n * page, mapped: 2 },
        ],
        maps: [],
      },
    ],
    zombies: [],
    charges: { tableBytes: 8n * MiB + 512n * KiB, pinnedBytes: 3n * page, leakedBytes: 0n },
    lockedBytes: 8n * MiB + 512n * KiB + 3n * page,
  });
});

snapshots("has charges that add up to what is locked, whatever happened", () => {
  for (const platform of ["powernv", "pseries"] as const) {
    const kernel = modelKernel({ platform });
    const program = new Rig(kernel).start();
    const va = program.allocate(8n * page);
    const steps = [
      () => program.register(va, 8n * page),
      () => program.map(va, 0n, page),
      () => program.create(12, 3n * MiB, 2),
      () => program.create(12, 16n * GiB, 1),
      () => program.create(16, 2n * GiB),
      () => program.unregister(va, 8n * page),
      () => program.remove(0n),
      () => program.create(12, 16n * GiB, 1),
    ];
    for (const step of steps) {
      step();
      const { charges, lockedBytes } = kernel.snapshot();
      assert.is(charges.tableBytes + charges.pinnedBytes + charges.leakedBytes, lockedBytes);
      assert.is(kernel.lockedMemory().used, lockedBytes);
    }
  }
});

snapshots.run();

const watching = suite("watch");

function watched(options: ModelOptions = {}) {
  const kernel = modelKernel(options);
  const program = new Rig(kernel).start();
  const va = program.allocate(256n * page);
  program.register(va, 256n * page);
  const heard: ClearedRange[] = [];
  const stop = kernel.watch((cleared) => heard.push(cleared));
  return { kernel, program, va, heard, stop };
}

watching("hears of each run of TCEs that an UNMAP clears, and of no others", () => {
  const { program, va, heard } = watched();
  program.map(va, 62n * page, 4n * page);
  program.map(va, 80n * page, page);
  program.unmap(0n, 64n * page);
  program.unmap(0n, MiB);
  program.unmap(0n, MiB);
  assert.equal(heard, [
    { call: "VFIO_IOMMU_UNMAP_DMA", iova: 62n * page, length: 2n * page },
    { call: "VFIO_IOMMU_UNMAP_DMA", iova: 64n * page, length: 2n * page },
    { call: "VFIO_IOMMU_UNMAP_DMA", iova: 80n * page, length: page },
  ]);
});

watching("hears in order, also of an UNMAP over a window that is almost empty", () => {
  const { program, va, heard } = watched();
  for (const at of [1000n, 5n, 300n, 100_000n]) program.map(va, at * page, page);
  program.unmap(0n, 2n * GiB);
  assert.equal(
    heard.map(({ iova }) => iova / page),
    [5n, 300n, 1000n, 100_000n],
  );
});

watching("hears of a failing MAP, a REMOVE, and a close, but not of a TCE that is replaced", () => {
  const { kernel, program, va, heard } = watched();
  program.map(va, 0n, 2n * page);
  program.map(va + page, 0n, page);
  assert.equal(heard, []);
  assert.is(program.map(va + 255n * page, 0n, 2n * page), -errno.EINVAL);
  program.remove(0n);
  program.create(16, GiB);
  program.map(va + 240n * page, 0n, 64n * KiB);
  for (const { fd } of kernel.snapshot().descriptors) kernel.close(fd);
  assert.equal(heard, [
    { call: "VFIO_IOMMU_MAP_DMA", iova: 0n, length: page },
    { call: "VFIO_IOMMU_SPAPR_TCE_REMOVE", iova: page, length: page },
  ]);
});

watching("hears of a close with live mappings, in addresses of the window", () => {
  const { kernel, program, va, heard } = watched({ platform: "pseries" });
  program.create(12, MiB);
  program.map(va, HIGH + page, 3n * page);
  for (const { fd } of kernel.snapshot().descriptors) kernel.close(fd);
  assert.equal(heard, [{ call: "close", iova: HIGH + page, length: 3n * page }]);
});

watching("stops when asked", () => {
  const { program, va, heard, stop } = watched();
  program.map(va, 0n, page);
  stop();
  program.unmap(0n, page);
  assert.equal(heard, []);
});

watching.run();

const reaching = suite("tceAt");

reaching("refuses a group that the model does not have, and an IOVA that cannot be", () => {
  const kernel = modelKernel();
  assert.is(kernel.tceAt(26, 0n), undefined);
  for (const act of [() => kernel.tceAt(27, 0n), () => kernel.tceAt(26, -1n), () => kernel.tceAt(26, 1n << 64n)]) {
    assert.throws(act, (error: { code: string }) => error.code === "ERR_OUT_OF_RANGE");
  }
});

reaching("stops at the last byte of what is mapped", () => {
  const { kernel, program, va } = watched();
  program.map(va, page, page);
  assert.is(kernel.tceAt(26, page - 1n), undefined);
  assert.is(kernel.tceAt(26, 2n * page - 1n)?.va, va + page - 1n);
  assert.is(kernel.tceAt(26, 2n * page), undefined);
  assert.is(kernel.tceAt(26, 2n ** 64n - 1n), undefined);
});

reaching.run();

const leaking = suite("leaks");

leaking("name what is still held, and nothing once all is closed", () => {
  const { kernel, program, va } = watched();
  program.map(va, 0n, page);
  assert.equal(kernel.leaks(), [
    "descriptor 3 is open: /dev/vfio/vfio",
    "descriptor 4 is open: /dev/vfio/26",
    "container 0 has a window at 0x0 of 2 GiB, 1 live TCEs; its table locks 8 MiB",
    `container 0 has 1 MiB registered at 0x${va.toString(16)}, mapped by 1 TCEs`,
  ]);
  kernel.close(3);
  kernel.close(4);
  assert.equal(kernel.leaks(), []);
});

leaking.run();

const options = suite("the model's options");

options("are refused when they cannot be", () => {
  const wrong: ModelOptions[] = [
    { platform: "x86" as "powernv" },
    { pageSize: 8192 },
    { groups: [1.5] },
    { groups: [-1] },
    { groups: [1, 1] },
    { pgsizes: 0x211001n },
    { pgsizes: 0x10000n },
    { defaultWindowSize: 4n * GiB },
    { defaultWindowSize: 3n * GiB },
  ];
  for (const option of wrong) {
    assert.throws(
      () => modelKernel(option),
      (error: { code: string }) => error.code === "ERR_OUT_OF_RANGE",
    );
  }
  const ofWrongKind = [
    { groups: 26 },
    { pgsizes: 4096 },
    { defaultWindowSize: "1" },
    { memory: {} },
    { lockedMemory: 1 },
  ];
  for (const option of ofWrongKind) {
    assert.throws(
      () => modelKernel(option as unknown as ModelOptions),
      (error: { code: string }) => error.code === "ERR_INVALID_ARG_TYPE",
    );
  }
});

options("change what GET_INFO says, and what CREATE takes", () => {
  const program = new Rig(modelKernel({ pgsizes: 0x1001000n, defaultWindowSize: 16n * MiB })).start();
  program.info();
  assert.is(program.u32(12), 2 ** 24);
  assert.is(program.u64(16), 0x1001000n);
  assert.is(program.create(16, GiB), -errno.EINVAL);
  assert.is(program.create(24, GiB), 0);
});

options.run();
