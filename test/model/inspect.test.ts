import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type IovaEvent, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { IommuType, MapFlag, VfioCall } from "../../src/syscalls.ts";
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
    process: 0,
    processes: [{ id: 0, lockedBytes: 8n * MiB + 512n * KiB + 3n * page }],
    descriptors: [
      { fd: 3, path: "/dev/vfio/vfio" },
      { fd: 4, path: "/dev/vfio/9" },
    ],
    groups: [
      { number: 3, open: false, container: null, device: "0000:00:03.0", devicesOpen: 0 },
      { number: 9, open: true, container: 0, device: "0000:00:09.0", devicesOpen: 0 },
    ],
    devices: [
      { address: "0000:00:03.0", group: 3, open: false, bound: true, busMaster: false, interrupts: "none" },
      { address: "0000:00:09.0", group: 9, open: false, bound: true, busMaster: false, interrupts: "none" },
    ],
    registers: [],
    listening: 0,
    containers: [
      {
        id: 0,
        fd: 3,
        groups: [9],
        windows: [
          { start: 0n, size: 2n * GiB, pageShift: 12, levels: 1, liveTces: 2, tableBytes: 8n * MiB, process: 0 },
          { start: HIGH, size: 2n * GiB, pageShift: 16, levels: 1, liveTces: 0, tableBytes: 512n * KiB, process: 0 },
        ],
        registrations: [
          { va, size: page, mapped: 0 },
          { va: va + 4n * page, size: 2n * page, mapped: 2 },
        ],
        maps: [],
      },
    ],
    zombies: [],
    hugepages: [
      { pageShift: 21, free: 1024 },
      { pageShift: 24, free: 128 },
      { pageShift: 30, free: 2 },
    ],
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
  const heard: IovaEvent[] = [];
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
  const cleared = { kind: "cleared", call: "VFIO_IOMMU_UNMAP_DMA", process: 0, container: 0 };
  assert.equal(heard, [
    { ...cleared, iova: 62n * page, length: 2n * page },
    { ...cleared, iova: 64n * page, length: 2n * page },
    { ...cleared, iova: 80n * page, length: page },
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

/** What is said of each event besides its process and its container. */
const told = (heard: readonly IovaEvent[]) => heard.map(({ kind, call, iova, length }) => [kind, call, iova, length]);

watching("hears of a failing MAP, a REMOVE, and a close", () => {
  const { kernel, program, va, heard } = watched();
  program.map(va, 0n, 2n * page);
  assert.equal(heard, []);
  assert.is(program.map(va + 255n * page, 0n, 2n * page), -errno.EINVAL);
  program.remove(0n);
  program.create(16, GiB);
  program.map(va + 240n * page, 0n, 64n * KiB);
  for (const { fd } of kernel.snapshot().descriptors) kernel.close(fd);
  assert.equal(told(heard), [
    ["cleared", "VFIO_IOMMU_MAP_DMA", 0n, page],
    ["cleared", "VFIO_IOMMU_SPAPR_TCE_REMOVE", page, page],
  ]);
});

watching("hears of TCEs that a MAP replaced, where they lead elsewhere or allow something else", () => {
  const { program, va, heard } = watched();
  program.map(va, page, 4n * page);
  program.map(va, page, 4n * page);
  assert.equal(heard, [], "they say what they said");
  program.map(va + 8n * page, 0n, 3n * page);
  program.map(va + 3n * page, 4n * page, page, { flags: 1 });
  assert.equal(told(heard), [
    ["replaced", "VFIO_IOMMU_MAP_DMA", page, 2n * page],
    ["replaced", "VFIO_IOMMU_MAP_DMA", 4n * page, page],
  ]);
});

watching("says which container and whose call it was", () => {
  const kernel = modelKernel({ groups: [1, 2], platform: "type1" });
  const [one, two] = [1, 2].map((group) => new Rig(kernel).start(group, IommuType.TYPE1v2)) as [Rig, Rig];
  const va = one.allocate(page);
  for (const program of [one, two]) program.map(va, 0n, page);
  const child = kernel.fork();
  const heard: IovaEvent[] = [];
  child.watch((event) => heard.push(event));
  const inChild = new Rig(child);
  inChild.container = two.container;
  assert.is(inChild.unmap(0n, page), 0);
  kernel.exit();
  child.exit();
  assert.equal(
    heard.map(({ call, process, container }) => [call, process, container]),
    [
      ["VFIO_IOMMU_UNMAP_DMA", 1, 1],
      ["exit", 1, 0],
    ],
  );
});

watching("is heard by each listener once, and may be asked for twice by one", () => {
  const { kernel, program, va, heard } = watched();
  const listener = (event: IovaEvent) => heard.push(event);
  const [first] = [kernel.watch(listener), kernel.watch(listener)];
  program.map(va, 0n, page);
  program.unmap(0n, page);
  assert.is(heard.length, 3);
  first();
  first();
  program.map(va, 0n, page);
  program.unmap(0n, page);
  assert.is(heard.length, 5);
});

watching("hears of a close with live mappings, in addresses of the window", () => {
  const { kernel, program, va, heard } = watched({ platform: "pseries" });
  program.create(12, MiB);
  program.map(va, HIGH + page, 3n * page);
  for (const { fd } of kernel.snapshot().descriptors) kernel.close(fd);
  assert.equal(told(heard), [["cleared", "close", HIGH + page, 3n * page]]);
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

const living = suite("live");

living("lists what a device reaches, neighbours as one, parted where anything changes", () => {
  const { kernel, program, va } = watched();
  program.map(va, page, 3n * page);
  program.map(va + 3n * page, 4n * page, page);
  program.map(va + 4n * page, 5n * page, page, { flags: 1 });
  program.map(va + 9n * page, 6n * page, page, { flags: 1 });
  const range = { read: true, write: true, present: true };
  assert.equal(kernel.live(26), [
    { iova: page, length: 4n * page, va, ...range },
    { iova: 5n * page, length: page, va: va + 4n * page, ...range, write: false },
    { iova: 6n * page, length: page, va: va + 9n * page, ...range, write: false },
  ]);
  kernel.munmap(va + page, 2n * page);
  kernel.mmap(va + page, page, 3, MapFlag.FIXED, 0);
  assert.equal(
    kernel.live(26).map(({ iova, length, present }) => [iova / page, length / page, present]),
    [
      [1n, 1n, true],
      [2n, 2n, false],
      [4n, 1n, true],
      [5n, 1n, true],
      [6n, 1n, true],
    ],
  );
});

living("parts a map of type1 where the process has given memory back, or put other memory there", () => {
  const kernel = modelKernel({ platform: "type1" });
  const program = new Rig(kernel).start(26, IommuType.TYPE1v2);
  const va = kernel.mmap(0x3000_0000_0000n, 16n * page, 3, 0, 0);
  program.map(va, 0n, 16n * page);
  kernel.munmap(va + 2n * page, 2n * page);
  kernel.mmap(va + 8n * page, 2n * page, 3, MapFlag.FIXED, 0);
  kernel.munmap(va + 10n * page, page);
  kernel.munmap(va + 15n * page, page);
  assert.equal(
    kernel.live(26).map(({ iova, length, va: at, present }) => [iova / page, length / page, (at - va) / page, present]),
    [
      [0n, 2n, 0n, true],
      [2n, 2n, 2n, false],
      [4n, 4n, 4n, true],
      [8n, 3n, 8n, false],
      [11n, 4n, 11n, true],
      [15n, 1n, 15n, false],
    ],
  );
});

living("leaves out what a MAP wrote behind a window's end, and is empty where nothing is mapped", () => {
  const kernel = modelKernel({ groups: [26, 27] });
  const program = new Rig(kernel).start();
  assert.equal(kernel.live(26), []);
  assert.equal(kernel.live(27), []);
  const va = program.allocate(2n * page);
  program.register(va, 2n * page);
  program.map(va, 2n * GiB - page, 2n * page);
  assert.is(kernel.snapshot().containers[0]?.windows[0]?.liveTces, 2);
  assert.equal(
    kernel.live(26).map(({ iova, length }) => [iova, length]),
    [[2n * GiB - page, page]],
  );
  assert.throws(
    () => kernel.live(28),
    (error: { code: string }) => error.code === "ERR_OUT_OF_RANGE",
  );
});

living.run();

const counting = suite("counters");

counting("count calls by name, and failed ones", () => {
  const { kernel, program, va } = watched();
  program.map(va, 0n, 3n * page);
  assert.is(program.map(va, 1n, page), 1);
  program.unmap(0n, page);
  program.unmap(0n, 16n * page);
  assert.is(kernel.close(99), -errno.EBADF);
  assert.throws(() => kernel.view(0n, page), /mmapped/);
  kernel.ioctl(program.container, 99 as VfioCall, 0);
  kernel.ioctl(program.container, VfioCall.CHECK_EXTENSION, 7);
  assert.equal(kernel.counters(), {
    calls: {
      VFIO_CHECK_EXTENSION: { calls: 1, failed: 0 },
      VFIO_SET_IOMMU: { calls: 1, failed: 0 },
      VFIO_GROUP_SET_CONTAINER: { calls: 1, failed: 0 },
      VFIO_IOMMU_MAP_DMA: { calls: 2, failed: 1 },
      VFIO_IOMMU_UNMAP_DMA: { calls: 2, failed: 0 },
      VFIO_IOMMU_SPAPR_REGISTER_MEMORY: { calls: 1, failed: 0 },
      other: { calls: 1, failed: 1 },
      open: { calls: 2, failed: 0 },
      close: { calls: 1, failed: 1 },
      mmap: { calls: 1, failed: 0 },
      view: { calls: 1, failed: 1 },
    },
    pagesMapped: 3,
    pagesUnmapped: 3,
  });
});

counting("count each call of a batch, pages of 4 KiB whatever the IOMMU's are, and what all processes do", () => {
  for (const platform of ["pseries", "type1"] as const) {
    const kernel = modelKernel({ platform });
    const program = new Rig(kernel).start(26, platform === "type1" ? IommuType.TYPE1v2 : IommuType.SPAPR_TCE_V2);
    const va = program.allocateHuge(2n * MiB, 21);
    if (platform === "pseries") {
      program.register(va, 2n * MiB);
      program.create(21, GiB);
    }
    assert.is(program.map(va, platform === "pseries" ? HIGH : 0n, 2n * MiB), 0);
    kernel.spawn().open("/dev/vfio/26");
    assert.equal(kernel.counters().calls.open, { calls: 3, failed: 1 });
    assert.is(kernel.counters().pagesMapped, 512);
    kernel.exit();
    assert.is(kernel.counters().pagesUnmapped, 512);
  }
});

counting.run();

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

leaking("name zombies, and what is charged for windows that could not be made, which no close gives back", () => {
  const { kernel, program, va } = watched();
  program.map(va, 0n, 2n * page);
  program.map(va, MiB, page);
  assert.is(program.create(12, 16n * GiB), -errno.ENOMEM);
  assert.is(program.unregister(va, 256n * page), 0);
  assert.equal(kernel.snapshot().zombies, [{ va, size: MiB, mapped: 3 }]);
  assert.equal(kernel.snapshot().containers[0]?.registrations, []);
  program.unmap(0n, page);
  for (const { fd } of kernel.snapshot().descriptors) assert.is(kernel.close(fd), 0);
  assert.equal(kernel.snapshot().zombies, [{ va, size: MiB, mapped: 0 }]);
  const [zombie, charge, ...others] = kernel.leaks();
  assert.match(zombie ?? "", "stays pinned until the machine is started again");
  assert.is(charge, "64 MiB of locked memory stay charged for windows that could not be made");
  assert.equal(others, []);
  assert.is(program.locked, 64n * MiB + MiB);
});

leaking.run();
