import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ModelUnknown, modelKernel } from "../../src/model/index.ts";
import { errno, GiB, HIGH, KiB, MiB, Rig, started, withoutDefaultWindow } from "./rig.ts";

const refusals = suite("a refused CREATE");

const refused: [string, ["powernv" | "pseries", number, bigint, number], number][] = [
  ["size 0", ["powernv", 12, 0n, 1], -errno.EINVAL],
  ["size 0", ["pseries", 12, 0n, 1], -errno.EINVAL],
  ["not a power of two", ["powernv", 12, 3n * MiB, 1], -errno.EINVAL],
  ["a page size that is not in pgsizes", ["powernv", 13, MiB, 1], -errno.EINVAL],
  ["the page size of the other platform", ["powernv", 24, GiB, 1], -errno.EINVAL],
  ["the page size of the other platform", ["pseries", 30, GiB, 1], -errno.EINVAL],
  ["a page shift beyond any", ["powernv", 0xffff_ffff, GiB, 1], -errno.EINVAL],
  ["no levels", ["powernv", 12, MiB, 0], -errno.EINVAL],
  ["six levels", ["powernv", 12, MiB, 6], -errno.EINVAL],
  ["far smaller than a page", ["powernv", 16, 4n * KiB, 1], -errno.EINVAL],
  ["smaller than a page", ["pseries", 16, 32n * KiB, 1], -errno.EINVAL],
  ["far smaller than a page", ["pseries", 16, 4n * KiB, 1], -errno.EINVAL],
];

for (const [why, [platform, shift, size, levels], expected] of refused) {
  refusals(`${platform}, ${why} (2^${shift}, ${size}): charges nothing`, () => {
    const program = withoutDefaultWindow({ platform });
    assert.is(program.create(shift, size, levels), expected);
    assert.is(program.locked, 0n);
  });
}

refusals("says ENOSPC before it looks at the rest, when both windows are taken", () => {
  const program = started();
  assert.is(program.create(12, MiB), 0);
  assert.is(program.create(12, MiB), -errno.ENOSPC);
  assert.is(program.create(13, 0n, 9), -errno.ENOSPC);
  assert.is(program.create(12, MiB, 1, { argsz: 39 }), -errno.EINVAL);
  assert.is(program.create(12, MiB, 1, { flags: 1 }), -errno.EINVAL);
});

refusals("says ENOMEM and charges nothing when RLIMIT_MEMLOCK is in the way", () => {
  const lockedMemory = { limit: 64n * MiB - 1n, privileged: false };
  const program = withoutDefaultWindow({ lockedMemory });
  assert.is(program.create(12, 16n * GiB, 1), -errno.ENOMEM);
  assert.is(program.locked, 0n);
  lockedMemory.limit = 64n * MiB;
  assert.is(program.create(12, 16n * GiB, 1), -errno.ENOMEM);
  assert.is(program.locked, 64n * MiB, "within the limit it goes on to fail for want of contiguous memory, and leaks");
});

refusals("on pSeries with 2 levels and no privilege says ENOMEM, because 4 GiB are over the limit", () => {
  const program = withoutDefaultWindow({ platform: "pseries", lockedMemory: { limit: 64n * MiB, privileged: false } });
  assert.is(program.create(12, MiB, 2), -errno.ENOMEM);
  assert.is(program.locked, 0n);
});

refusals("goes unanswered when the pSeries table is larger than any memory we know", () => {
  const program = withoutDefaultWindow({ platform: "pseries" });
  assert.throws(
    () => program.create(16, 1n << 60n),
    (error: unknown) => error instanceof ModelUnknown,
  );
});

refusals.run();

const places = suite("where a window starts");

places("PowerNV: 1 << 59 beside the default window, 0 in its place, at any size", () => {
  const program = started();
  assert.is(program.create(12, GiB), 0);
  assert.is(program.startAddress, HIGH);
  assert.is(program.remove(0n), 0);
  assert.is(program.create(16, 1n << 45n, 2), 0);
  assert.is(program.startAddress, 0n);
});

places("PowerNV: a window smaller than its page is as large as the table that one page of memory holds", () => {
  const program = withoutDefaultWindow();
  assert.is(program.create(21, MiB), 0);
  assert.is(program.locked, 8n * KiB);
  assert.is(program.remove(GiB - 1n), 0, "512 TCEs of 2 MiB");
  assert.is(program.create(16, 8n * KiB), 0, "three sizes below its page");
});

places("PowerNV: a window of one TCE answers up to its 512th", () => {
  const program = started();
  program.create(12, 4n * KiB);
  const va = program.allocate(4n * KiB);
  program.register(va, 4n * KiB);
  assert.is(program.map(va, HIGH + 511n * 4096n, 4n * KiB), 0);
  assert.is(program.map(va, HIGH + 512n * 4096n, 4n * KiB), -errno.ENXIO);
});

places("pSeries: up to the default window's size with 4K pages, at 0 once that is gone", () => {
  const program = withoutDefaultWindow({ platform: "pseries" });
  for (const [shift, size, start] of [
    [12, 512n * MiB, 0n],
    [12, 4n * KiB, 0n],
    [12, GiB, 0n],
    [12, 2n * GiB, HIGH],
    [16, GiB, HIGH],
  ] as const) {
    assert.is(program.create(shift, size), 0);
    assert.is(program.startAddress, start, `2^${shift}, ${size}`);
    assert.is(program.remove(start), 0);
  }
});

places("pSeries: one like the default first, then a large one: both work", () => {
  const program = withoutDefaultWindow({ platform: "pseries" });
  assert.is(program.create(12, GiB), 0);
  assert.is(program.create(16, 2n * GiB), 0);
  assert.is(program.startAddress, HIGH);
});

places(
  "pSeries: nothing goes into the first place while a dynamic window has the second: EPERM, and the charge stays",
  () => {
    const program = started({ platform: "pseries" });
    program.create(16, 2n * GiB);
    program.remove(0n);
    assert.is(program.create(12, GiB), -errno.EPERM);
    assert.is(program.locked, 256n * KiB + 2n * MiB);
    assert.is(program.create(16, 2n * GiB), -errno.EPERM);
    program.remove(HIGH);
    assert.is(program.create(12, GiB), 0, "and is forgotten when that has gone");
  },
);

places("pSeries: a second dynamic window answers ENODEV, and so does everything on that group from then on", () => {
  const kernel = modelKernel({ platform: "pseries", groups: [1, 2] });
  const program = new Rig(kernel).start(1);
  program.remove(0n);
  assert.is(program.create(16, 2n * GiB), 0);
  assert.is(program.create(12, GiB), -errno.ENODEV);
  assert.is(program.create(12, MiB, 2), -errno.EINVAL, "except for what is refused before firmware is asked");
  assert.is(program.remove(HIGH), 0);
  assert.is(program.create(12, GiB), -errno.ENODEV);
  for (const { fd } of kernel.snapshot().descriptors) kernel.close(fd);

  const again = new Rig(kernel).start(1);
  const before = again.locked;
  const va = again.allocate(4n * KiB);
  again.register(va, 4n * KiB);
  assert.is(again.map(va, 0n, 4n * KiB), -errno.ENODEV, "the default window cannot be made either");
  assert.is(again.unmap(0n, 4n * KiB), -errno.ENODEV);
  assert.is(again.locked, before + 4n * KiB + 4n * MiB, "and each try leaves its charge");
  assert.is(new Rig(kernel).start(2).create(16, 2n * GiB), 0, "another group is not concerned");
});

places("pSeries: firmware's own place for windows, and a largest one, which it does not hold against the group", () => {
  const start = 1n << 40n;
  const program = started({ platform: "pseries", firmwareWindowStart: start, firmwareLargestBlock: 65536n });
  const before = program.locked;
  assert.is(program.create(16, 8n * GiB), -errno.EINVAL, "131072 TCEs");
  assert.is(program.locked, before + MiB + 2n * MiB, "the charge stays; and the default window has been made");
  assert.is(program.create(16, 4n * GiB), 0);
  assert.is(program.startAddress, start);
});

places("firmware can only do what firmware can do, and only where there is one", () => {
  const wrong = [0n, 1n << 31n, (1n << 40n) + 4096n, 1n << 63n].map((firmwareWindowStart) => ({ firmwareWindowStart }));
  for (const options of [...wrong, { firmwareLargestBlock: -1n }, { firmwareLargestBlock: 1n << 64n }]) {
    assert.throws(() => modelKernel({ platform: "pseries", ...options }), /ERR_OUT_OF_RANGE|must be/);
  }
  assert.throws(() => modelKernel({ platform: "pseries", firmwareLargestBlock: 5 as never }), /a bigint/);
  assert.throws(() => modelKernel({ platform: "powernv", firmwareLargestBlock: 5n }), /belongs to pseries/);
});

places.run();
