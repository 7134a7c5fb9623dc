/** type1 on other machines than a PC with Linux 6.12: an SMMU, larger pages, older kernels, ranges of any kind. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelKernel, type ModelOptions, ModelUnknown, modelKernel } from "../../src/model/index.ts";
import { IommuType, VfioCall } from "../../src/syscalls.ts";
import { errno, KiB, Rig } from "./rig.ts";

const page = 4n * KiB;
/** Where VT-d ends. */
const HULL = 1n << 48n;

interface Ready {
  readonly kernel: ModelKernel;
  readonly program: Rig;
  /** 64 pages of 4 KiB that can be read and written. */
  readonly va: bigint;
}

function ready(options: ModelOptions): Ready {
  const kernel = modelKernel({ platform: "type1", ...options });
  const program = new Rig(kernel).start(26, IommuType.TYPE1v2);
  return { kernel, program, va: program.allocate(64n * page) };
}

const machines = suite("type1: other machines");

machines("may have no v2; and nesting on an SMMU was never seen", () => {
  const setIommu = (options: ModelOptions, type: number) => {
    const kernel = modelKernel({ platform: "type1", ...options });
    const program = new Rig(kernel);
    program.container = kernel.open("/dev/vfio/vfio");
    program.setContainer(kernel.open("/dev/vfio/26"));
    return kernel.ioctl(program.container, VfioCall.SET_IOMMU, type);
  };
  assert.is(setIommu({ iommuVersion: 1 }, 3), -errno.ENODEV);
  assert.is(setIommu({ iommuVersion: 1, linux: "6.12" }, 6), -errno.ENODEV);
  assert.is(setIommu({ pageSize: 65536 }, 6), -errno.ENODEV);
  assert.is(setIommu({ iommuVersion: 1 }, 1), 0);
  assert.throws(
    () => setIommu({ pageSize: 65536, linux: "6.12" }, 6),
    (error: unknown) => error instanceof ModelUnknown && error.situation.includes("nested"),
  );
});

machines("let a device read through WRITE only with VT-d once, never with an SMMU, or as the option says", () => {
  const cases: [ModelOptions, boolean][] = [
    [{}, false],
    [{ linux: "6.15.11" }, true],
    [{ linux: "6.16" }, false],
    [{ readsThroughWriteOnly: true }, true],
    [{ linux: "6.12.107", readsThroughWriteOnly: false }, false],
    [{ pageSize: 65536 }, false],
    [{ pageSize: 16384, readsThroughWriteOnly: true }, true],
  ];
  for (const [options, read] of cases) {
    const { kernel, program } = ready(options);
    const va = program.allocate(64n * KiB);
    assert.is(program.map(va, 0n, 64n * KiB, { flags: 2 }), 0);
    assert.equal(kernel.tceAt(26, 5n), { va: va + 5n, read, write: true });
    assert.is(kernel.snapshot().containers[0]?.maps[0]?.read, false, "what was asked for");
  }
});

for (const pageSize of [16384, 65536]) {
  machines(`with CPU pages of ${pageSize} bytes count in those`, () => {
    const { program } = ready({ pageSize });
    const unit = BigInt(pageSize);
    const va = program.allocate(4n * unit);
    assert.is(program.map(va, 0n, page), -errno.EINVAL);
    assert.is(program.map(va, page, unit), -errno.EINVAL);
    assert.is(program.map(va + page, 0n, unit), -errno.EINVAL);
    assert.is(program.map(va, unit, 2n * unit), 0);
    assert.is(program.locked, 2n * unit);
    assert.is(program.unmap(unit, page), -errno.EINVAL);
    assert.is(program.unmap(unit, 2n * unit), 0);
    assert.is(program.map(va, 0x800_0000n, unit), -errno.EINVAL, "where an SMMU takes interrupts");
    assert.is(program.map(va, 0x810_0000n, unit), 0);
  });
}

machines("say in GET_INFO what ranges and page sizes they have, and hold MAP to them", () => {
  const ranges = [
    { start: 0x1000n, last: 0x1fffn },
    { start: 0x2000n, last: 0x2fffn },
    { start: 1n << 40n, last: (1n << 52n) - 1n },
  ];
  const { program } = ready({ ranges, pgsizes: 0x1000n });
  assert.is(program.info(64), 0);
  assert.is(program.u32(0), 136);
  assert.is(program.info(136), 0);
  assert.is(program.u64(8), 0x1000n);
  assert.is(program.u32(80), 3);
  assert.equal(
    ranges.map((_, index) => ({ start: program.u64(88 + index * 16), last: program.u64(96 + index * 16) })),
    ranges,
  );
  const va = program.allocate(2n * page);
  assert.is(program.map(va, 0n, page), -errno.EINVAL);
  assert.is(program.map(va, 0x1000n, 2n * page), -errno.EINVAL, "two ranges that adjoin are two");
  assert.is(program.map(va, 0x2000n, page), 0);
});

machines("with larger CPU pages say an SMMU's page sizes, and hide those below the CPU's", () => {
  const rows: [ModelOptions, bigint][] = [
    [{ pageSize: 16384 }, 0x200_4000n],
    [{ pageSize: 65536 }, 0x2001_0000n],
    [{ pageSize: 65536, pgsizes: 0x4020_1000n }, 0x4021_0000n],
    [{ pageSize: 16384, pgsizes: 0x4020_5000n }, 0x4020_4000n],
  ];
  for (const [options, shown] of rows) {
    const { program } = ready(options);
    program.info(200);
    assert.is(program.u64(8), shown);
    assert.is(program.u64(40), BigInt(options.pageSize as number), "the smallest");
  }
});

machines("without capabilities show none, whatever the room", () => {
  for (const argsz of [16, 200]) {
    const { program } = ready({ infoCapabilities: false });
    assert.is(program.info(argsz), 0);
    assert.equal([program.u32(0), program.u32(4), program.u64(8)], [argsz, 1, 0x4020_1000n]);
    assert.is(program.u32(16), 0xeeee_eeee);
  }
});

machines("without capabilities have no flags of UNMAP", () => {
  const { kernel, program, va } = ready({ infoCapabilities: false });
  program.map(va, 16n * page, 4n * page);
  for (const flags of [1, 2, 4]) assert.is(program.unmap(0n, 0n, { flags }), -errno.EINVAL);
  assert.is(kernel.snapshot().containers[0]?.maps.length, 1);
  assert.is(program.unmap(16n * page, 4n * page), 0);
});

machines("without capabilities know of no holes, and nobody knows what they answer past what the IOMMU reaches", () => {
  const { program, va } = ready({ infoCapabilities: false });
  assert.is(program.map(va, 0xfee0_0000n, page), 0);
  assert.is(program.map(va, HULL - page, page), 0);
  assert.is(program.map(va, 0n, page, { flags: 4 }), -errno.EINVAL, "no such flag");
  assert.throws(
    () => program.map(va, HULL, page),
    (error: unknown) => error instanceof ModelUnknown && error.situation.includes("0x1000000000000"),
  );
});

machines.run();

const extensions = suite("type1: CHECK_EXTENSION");

function known(program: Rig): number[] {
  const all = Array.from({ length: 12 }, (_, index) => index);
  return all.filter((extension) => program.kernel.ioctl(program.container, VfioCall.CHECK_EXTENSION, extension) > 0);
}

const kernels: [string, ModelOptions, number[], number[]][] = [
  ["Linux 7.3", {}, [1, 3, 9], [1, 3, 9, 10]],
  ["Linux 6.13", { linux: "6.13" }, [1, 3, 9], [1, 3, 9, 10]],
  ["Linux 6.12", { linux: "6.12.118" }, [1, 3, 6, 9], [1, 3, 6, 9, 10]],
  ["Linux 5.12", { linux: "5.12" }, [1, 3, 6, 9], [1, 3, 6, 9, 10]],
  ["Linux 5.11", { linux: "5.11.22" }, [1, 3, 6], [1, 3, 6]],
  ["a kernel without capabilities", { infoCapabilities: false }, [1, 3], [1, 3]],
  ["an old kernel without capabilities", { infoCapabilities: false, linux: "6.12" }, [1, 3, 6], [1, 3, 6]],
  ["a kernel without v2", { iommuVersion: 1 }, [1, 9], [1, 9, 10]],
  ["an old kernel without v2", { iommuVersion: 1, infoCapabilities: false }, [1], [1]],
];

for (const [name, options, before, after] of kernels) {
  extensions(`on ${name}: ${before.join(", ")} before SET_IOMMU, ${after.join(", ")} after it`, () => {
    const kernel = modelKernel({ platform: "type1", ...options });
    const program = new Rig(kernel);
    program.container = kernel.open("/dev/vfio/vfio");
    assert.equal(known(program), before);
    const group = kernel.open("/dev/vfio/26");
    program.setContainer(group);
    assert.equal(known(program), before);
    assert.is(kernel.ioctl(program.container, VfioCall.SET_IOMMU, IommuType.TYPE1), 0);
    assert.equal(known(program), after);
    kernel.ioctl(group, VfioCall.GROUP_UNSET_CONTAINER, 0);
    assert.equal(known(program), before);
  });
}

extensions.run();
