import { suite } from "uvu";
import * as assert from "uvu/assert";
import { DmaWindowError } from "../../src/errors.ts";
import { type ModelKernel, modelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { errno, GiB, KiB, MiB, Rig, RW } from "./rig.ts";

const page = 4n * KiB;
const HUGE = MapFlag.HUGETLB;

/** The frames of `pages` pages, and that each is one. */
function framesOf(kernel: ModelKernel, va: bigint, pages: number, size = kernel.pageSize): bigint[] {
  const addresses = [...kernel.physicalAddresses(va, pages, size)];
  for (const address of addresses) assert.is(address % BigInt(size), 0n);
  return addresses;
}

const addresses = suite("physical addresses of simulated memory");

addresses("are there for every page, each another, and those of neighbours do not follow one another", () => {
  for (const pageSize of [4096, 65536]) {
    const kernel = modelKernel({ pageSize });
    const size = BigInt(pageSize);
    const [a, b] = [kernel.mmap(0n, 8n * size, RW, 0, 0), kernel.mmap(0n, 8n * size, RW, 0, 0)];
    const all = [...framesOf(kernel, b, 8), ...framesOf(kernel, a, 8)];
    assert.is(new Set(all).size, 16);
    for (const [index, address] of all.entries()) assert.is.not(all[index + 1], address + size);
    assert.ok(all.every((address) => address >= MiB && address < MiB + 64n * size));
  }
});

addresses("are not there for pages whose size is as good as a power of two to a logarithm", () => {
  const kernel = modelKernel();
  for (const size of [2 ** 49 - 1, 2 ** 50 + 1, 2 ** 53 - 1]) {
    assert.throws(() => kernel.physicalAddresses(0n, 1, size), /pageSize must be a power of two/);
  }
});

addresses("are the same each time, whichever part is asked for", () => {
  const kernel = modelKernel();
  const va = kernel.mmap(0n, 8n * page, RW, 0, 0);
  const third = framesOf(kernel, va + 3n * page, 1)[0];
  assert.is(framesOf(kernel, va, 8)[3], third);
  kernel.munmap(va + page, page);
  assert.is(framesOf(kernel, va + 3n * page, 1)[0], third);
});

addresses("of a hugepage begin at its own size, and go on inside it without a gap", () => {
  const kernel = modelKernel();
  const va = kernel.mmap(0n, 4n * MiB, RW, HUGE, 21);
  const [first, second] = framesOf(kernel, va, 2, 2 ** 21);
  const small = framesOf(kernel, va, 1024, 4096);
  assert.is.not(second, (first as bigint) + 2n * MiB);
  for (const [index, address] of small.entries()) {
    const start = index < 512 ? first : second;
    assert.is(address, (start as bigint) + BigInt(index % 512) * page);
  }
  assert.is(framesOf(kernel, kernel.mmap(0n, GiB, RW, HUGE, 30), 1, 2 ** 30)[0], GiB);
});

addresses("are not given out again while the process or a device still has the page", () => {
  const kernel = modelKernel();
  const program = new Rig(kernel).start();
  const va = program.allocate(2n * page);
  const old = framesOf(kernel, va, 2);
  program.register(va, 2n * page);
  kernel.munmap(va, 2n * page);
  kernel.mmap(va, 2n * page, RW, MapFlag.FIXED, 0);
  for (const address of framesOf(kernel, va, 2)) assert.not.ok(old.includes(address));
  assert.is(program.unregister(va, 2n * page), 0);
  assert.equal(framesOf(kernel, program.allocate(2n * page), 2), old, "as on Linux, they are somebody else's then");
});

addresses("of a child's memory are its own", () => {
  const kernel = modelKernel();
  const va = kernel.mmap(0n, page, RW, 0, 0);
  const ours = framesOf(kernel, va, 1);
  const child = kernel.fork();
  assert.not.equal(framesOf(child, va, 1), ours);
  assert.equal(framesOf(kernel, va, 1), ours);
});

addresses("are not there for memory that is not there, or only kept", () => {
  const kernel = modelKernel();
  const va = kernel.mmap(0x3000_0000_0000n, page, RW, 0, 0);
  kernel.mmap(va + page, page, Protection.NONE, MapFlag.NORESERVE, 0);
  for (const [at, pages, missing] of [
    [va, 2, va + page],
    [va - page, 1, va - page],
  ] as const) {
    assert.throws(
      () => kernel.physicalAddresses(at, pages, 4096),
      (error: unknown) =>
        error instanceof DmaWindowError && error.code === "ERR_PAGE_NOT_PRESENT" && error.facts?.va === missing,
    );
  }
  assert.is(kernel.physicalAddresses(va, 0, 4096).length, 0);
});

addresses("are refused for arguments that cannot be", () => {
  const kernel = modelKernel({ pageSize: 65536 });
  const va = kernel.mmap(0n, MiB, RW, 0, 0);
  const cannotBe: [bigint, number, number][] = [
    [va, 1, 4096],
    [va, 1, 65537],
    [va, 1, Number.NaN],
    [va + page, 1, 65536],
    [va, -1, 65536],
    [va, 0.5, 65536],
    [va, 2 ** 28, 65536],
    [-65536n, 1, 65536],
    [2n ** 64n - 65536n, 2, 65536],
  ];
  for (const parameters of cannotBe) {
    assert.throws(
      () => kernel.physicalAddresses(...parameters),
      (error: { code: string }) => error.code === "ERR_OUT_OF_RANGE",
      String(parameters),
    );
  }
});

addresses.run();

const noIommu = suite("a device without an IOMMU");

/** A program on a machine without an IOMMU, whose device can move data. */
function begun(options = {}) {
  const kernel = modelKernel({ platform: "noiommu", ...options });
  new Rig(kernel).start("noiommu-26", 8);
  return kernel;
}

noIommu("moves data by physical addresses, wherever they lead", () => {
  const kernel = begun();
  const va = kernel.mmap(0n, 2n * page, RW, 0, 0);
  const [first, second] = framesOf(kernel, va, 2) as [bigint, bigint];
  assert.equal(kernel.device(26).write(first + 10n, Uint8Array.of(1, 2)), { bytes: 2 });
  assert.equal(kernel.device(26).write(second, Uint8Array.of(3)), { bytes: 1 });
  const view = kernel.view(va, 2n * page);
  assert.equal([view[10], view[11], view[4096]], [1, 2, 3]);
  assert.is(kernel.device(26).write(va, Uint8Array.of(1)).fault?.why, "not mapped", "a virtual address is none");
  assert.is(kernel.device(26).read(0n, new Uint8Array(1)).fault?.why, "not mapped");
});

noIommu("takes pages for contiguous only where they are", () => {
  const kernel = begun();
  const small = kernel.mmap(0n, 4n * page, RW, 0, 0);
  const frames = framesOf(kernel, small, 4);
  const top = frames.reduce((a, b) => (a > b ? a : b));
  assert.is(top, frames[0], "the first page lies highest");
  assert.equal(kernel.device(26).write(top, new Uint8Array(8192)), {
    bytes: 4096,
    fault: { iova: top + page, why: "not mapped" },
  });
  const huge = kernel.mmap(0n, 2n * MiB, RW, HUGE, 21);
  const [start] = framesOf(kernel, huge, 1, 2 ** 21) as [bigint];
  assert.is(kernel.device(26).write(start, new Uint8Array(2 ** 21)).bytes, 2 ** 21);
});

noIommu("reaches nothing of memory that was unmapped, and whoever has the frame next", () => {
  const kernel = begun();
  const va = kernel.mmap(0n, page, RW, 0, 0);
  const [frame] = framesOf(kernel, va, 1) as [bigint];
  kernel.munmap(va, page);
  assert.is(kernel.device(26).write(frame, Uint8Array.of(9)).fault?.why, "not mapped");
  const other = kernel.mmap(0n, page, RW, 0, 0);
  assert.equal(framesOf(kernel, other, 1), [frame]);
  kernel.device(26).write(frame, Uint8Array.of(9));
  assert.is(kernel.view(other, page)[0], 9);
});

noIommu("moves nothing without a container", () => {
  const kernel = modelKernel({ platform: "noiommu" });
  const [frame] = framesOf(kernel, kernel.mmap(0n, page, RW, 0, 0), 1) as [bigint];
  assert.is(kernel.device(26).write(frame, Uint8Array.of(9)).fault?.why, "the group is in no container");
  assert.is(kernel.open("/dev/vfio/26"), -errno.ENOENT);
});

noIommu.run();
