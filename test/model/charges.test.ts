import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { answer, errno, GiB, HIGH, KiB, MiB, Rig, started, TiB, withoutDefaultWindow } from "./rig.ts";

const charges = suite("the charge of a window");

// What VmLck grew by on powernv9 with a kernel of 4K pages, Linux 6.12.
const powernv4k: [bigint, number, number, bigint][] = [
  [1n * GiB, 12, 1, 4n * MiB],
  [8n * GiB, 12, 1, 32n * MiB],
  [16n * GiB, 12, 2, 64n * MiB + 32n * KiB],
  [64n * GiB, 12, 2, 256n * MiB + 64n * KiB],
  [64n * GiB, 12, 3, 256n * MiB + 520n * KiB],
  [1n * TiB, 12, 2, 4n * GiB + 256n * KiB],
  [64n * GiB, 16, 1, 16n * MiB],
  [1n * TiB, 16, 2, 256n * MiB + 64n * KiB],
  [64n * GiB, 21, 1, 512n * KiB],
  [1n * TiB, 21, 1, 8n * MiB],
  [4n * TiB, 21, 1, 32n * MiB],
  [16n * TiB, 21, 2, 128n * MiB + 64n * KiB],
  [64n * GiB, 30, 1, 8n * KiB],
  [1n * TiB, 30, 1, 16n * KiB],
];

for (const [size, shift, levels, charge] of powernv4k) {
  charges(
    `PowerNV, 4K kernel: ${size / GiB} GiB in pages of 2^${shift} with ${levels} levels locks ${charge} bytes`,
    () => {
      const program = withoutDefaultWindow();
      assert.is(program.create(shift, size, levels), 0);
      assert.is(program.locked, charge);
      assert.is(program.remove(program.startAddress), 0);
      assert.is(program.locked, 0n);
    },
  );
}

const powernv64k: [number, number, number, bigint, number][] = [
  [16, 31, 1, MiB / 2n, 0],
  [16, 40, 2, 256n * MiB + 128n * KiB, 0],
  [21, 42, 1, 32n * MiB, 0],
  [21, 45, 1, 256n * MiB, -errno.ENOMEM],
  [21, 45, 2, 256n * MiB + 128n * KiB, 0],
  [24, 45, 1, 32n * MiB, 0],
  [30, 50, 1, 16n * MiB, 0],
  [30, 50, 2, 16n * MiB + 128n * KiB, -errno.EINVAL],
  [16, 31, 3, MiB / 2n + 256n * KiB, -errno.EINVAL],
  [16, 40, 3, 256n * MiB + 256n * KiB, -errno.EINVAL],
];

for (const [shift, window, levels, charge, expected] of powernv64k) {
  charges(
    `PowerNV, 64K kernel: 2^${window} in pages of 2^${shift} with ${levels} levels answers ${answer(expected)}`,
    () => {
      const program = withoutDefaultWindow({ pageSize: 65536, pgsizes: 0x41211000n });
      assert.is(program.create(shift, 1n << BigInt(window), levels), expected);
      assert.is(program.locked, charge);
    },
  );
}

const pseries: [bigint, number, bigint][] = [
  [1n * GiB, 12, 2n * MiB],
  [1n * GiB, 16, 128n * KiB],
  [2n * GiB, 16, 256n * KiB],
  [2n * GiB, 12, 4n * MiB],
  [1n << 45n, 24, 16n * MiB],
  [4n * KiB, 12, 0n],
];

for (const [size, shift, charge] of pseries) {
  charges(`pSeries: ${size} bytes in pages of 2^${shift} lock ${charge} bytes, once`, () => {
    const program = started({ platform: "pseries" });
    assert.is(program.create(shift, size), 0);
    assert.is(program.startAddress, HIGH);
    assert.is(program.locked, charge + 2n * MiB);
    assert.is(program.remove(HIGH), 0);
    assert.is(program.locked, 2n * MiB);
  });
}

charges.run();

const leaks = suite("a charge that stays");

// [platform, what, page shift, size, levels, errno, what stays]
const leaking: ["powernv" | "pseries", number, bigint, number, number, bigint][] = [
  ["powernv", 12, 16n * GiB, 1, -errno.ENOMEM, 64n * MiB],
  ["powernv", 16, 1n * TiB, 5, -errno.EINVAL, 262680n * KiB],
  ["powernv", 30, 1n << 63n, 1, -errno.EINVAL, 128n * GiB],
  ["powernv", 21, 512n * KiB, 2, -errno.EINVAL, 24n * KiB],
  ["powernv", 21, 128n * KiB, 2, -errno.EINVAL, 40n * KiB],
  ["pseries", 12, 3n * MiB, 1, -errno.EINVAL, 4n * KiB],
  ["pseries", 12, 1n * GiB, 2, -errno.EINVAL, 4n * GiB - 4n * KiB],
  ["pseries", 24, 1n << 62n, 1, -errno.EINVAL, 2n * TiB],
];

for (const [platform, shift, size, levels, expected, left] of leaking) {
  leaks(`${platform}: ${size} bytes in pages of 2^${shift} with ${levels} levels answers ${answer(expected)}`, () => {
    const program = withoutDefaultWindow({ platform });
    assert.is(program.create(shift, size, levels), expected);
    assert.is(program.startAddress, 0x77n, "start_addr is not written");
    assert.is(program.locked, left);
    assert.is(program.create(shift, size, levels), expected);
    assert.is(program.locked, left * 2n, "each try costs again");
  });
}

leaks("outlives every descriptor", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  program.create(12, 16n * GiB);
  for (const { fd } of kernel.snapshot().descriptors) kernel.close(fd);
  assert.is(program.locked, 64n * MiB);
  assert.equal(kernel.leaks(), ["64 MiB of locked memory stay charged for windows that could not be made"]);
});

leaks.run();
