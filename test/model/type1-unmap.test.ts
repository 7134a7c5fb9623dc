import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type IovaEvent, type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { IommuType } from "../../src/syscalls.ts";
import { answer, errno, GiB, KiB, Rig, TiB } from "./rig.ts";

const page = 4n * KiB;
const TOP = 1n << 64n;
const ALL = { flags: 2 };

interface Mapped {
  readonly kernel: ModelKernel;
  readonly program: Rig;
  readonly va: bigint;
}

/** Three maps, in pages: [4, 8), [8, 10), and after a hole [16, 20). */
function mapped(type: number = IommuType.TYPE1v2, options: ModelOptions = {}): Mapped {
  const kernel = modelKernel({ platform: "type1", ...options });
  const program = new Rig(kernel).start(26, type);
  const va = program.allocate(64n * page);
  for (const [first, pages] of [
    [4n, 4n],
    [8n, 2n],
    [16n, 4n],
  ] as const) {
    assert.is(program.map(va + first * page, first * page, pages * page), 0);
  }
  return { kernel, program, va };
}

/** Where the maps begin, in pages. */
function firstPages(kernel: ModelKernel): bigint[] {
  return (kernel.snapshot().containers[0]?.maps ?? []).map(({ iova }) => iova / page);
}

const untouched = [4n, 8n, 16n];

const unmapping = suite("type1: UNMAP");

/** What is asked, in pages; what is left; how many pages the size field then says, or that the answer is EINVAL. */
type Row = [string, { first: bigint; pages: bigint }, { left: bigint[]; size: bigint } | "EINVAL"];

const v2: Row[] = [
  ["exactly a map", { first: 8n, pages: 2n }, { left: [4n, 16n], size: 2n }],
  ["a map and free space around", { first: 12n, pages: 20n }, { left: [4n, 8n], size: 4n }],
  ["two maps that adjoin", { first: 4n, pages: 6n }, { left: [16n], size: 6n }],
  ["several with holes between", { first: 0n, pages: 100n }, { left: [], size: 10n }],
  ["nothing there", { first: 10n, pages: 6n }, { left: untouched, size: 0n }],
  ["the middle of a map", { first: 5n, pages: 2n }, "EINVAL"],
  ["its first page", { first: 4n, pages: 1n }, "EINVAL"],
  ["its last page", { first: 19n, pages: 1n }, "EINVAL"],
  ["one whole, and a part of the next", { first: 4n, pages: 5n }, "EINVAL"],
  ["the end of one, and the next", { first: 7n, pages: 3n }, "EINVAL"],
];

const v1: Row[] = [
  ["exactly a map", { first: 8n, pages: 2n }, { left: [4n, 16n], size: 2n }],
  ["several with holes between", { first: 0n, pages: 100n }, { left: [], size: 10n }],
  ["nothing there", { first: 10n, pages: 6n }, { left: untouched, size: 0n }],
  ["its first page: the whole map goes", { first: 4n, pages: 1n }, { left: [8n, 16n], size: 4n }],
  ["a part of the last: that goes as a whole", { first: 8n, pages: 9n }, { left: [4n], size: 6n }],
  ["from a hole into a map", { first: 12n, pages: 5n }, { left: [4n, 8n], size: 4n }],
  ["the middle of a map: nothing happens", { first: 5n, pages: 2n }, { left: untouched, size: 0n }],
  ["its last page: nothing happens", { first: 19n, pages: 1n }, { left: untouched, size: 0n }],
  ["the end of one, and the next: nothing happens", { first: 7n, pages: 3n }, { left: untouched, size: 0n }],
];

for (const [version, type, rows] of [
  ["v2", IommuType.TYPE1v2, v2],
  ["v1", IommuType.TYPE1, v1],
] as const) {
  for (const [situation, { first, pages }, expected] of rows) {
    unmapping(`${version}: ${situation}`, () => {
      const { kernel, program } = mapped(type);
      const { left, size } = expected === "EINVAL" ? { left: untouched, size: undefined } : expected;
      assert.is(program.unmap(first * page, pages * page), size === undefined ? -errno.EINVAL : 0);
      assert.is(program.u64(16), (size ?? pages) * page, "written back only when the answer is 0");
      assert.equal(firstPages(kernel), left);
      assert.is(program.locked, (10n - (size ?? 0n)) * page);
    });
  }
}

const refused: [string, (program: Rig) => number][] = [
  ["an unaligned iova", (p) => p.unmap(16n * page + 1n, 4n * page)],
  ["an unaligned size", (p) => p.unmap(16n * page, 4n * page + 1n)],
  ["size 0", (p) => p.unmap(16n * page, 0n)],
  ["a range that wraps", (p) => p.unmap(TOP - page, 2n * page)],
  ["a short struct", (p) => p.unmap(16n * page, 4n * page, { argsz: 23 })],
  ["an unknown flag", (p) => p.unmap(16n * page, 4n * page, { flags: 8 })],
  ["the highest flag", (p) => p.unmap(16n * page, 4n * page, { flags: 0x8000_0000 })],
  ["dirty pages that nobody tracks", (p) => p.unmap(16n * page, 4n * page, { flags: 1, argsz: 48 })],
  ["dirty pages, in a struct without their bitmap", (p) => p.unmap(16n * page, 4n * page, { flags: 1 })],
  ["dirty pages of all", (p) => p.unmap(0n, 0n, { flags: 3 })],
  ["all, and a size", (p) => p.unmap(0n, page, ALL)],
  ["all, and an iova", (p) => p.unmap(page, 0n, ALL)],
  ["all, and an unaligned iova", (p) => p.unmap(1n, 0n, ALL)],
  ["all, and an unaligned size", (p) => p.unmap(0n, 1n, ALL)],
];

for (const [situation, act] of refused) {
  for (const type of [IommuType.TYPE1v2, IommuType.TYPE1]) {
    unmapping(`${situation} answers ${answer(-errno.EINVAL)}${type === IommuType.TYPE1 ? ", in v1 too" : ""}`, () => {
      const { kernel, program } = mapped(type);
      assert.is(act(program), -errno.EINVAL);
      assert.equal(firstPages(kernel), untouched);
      assert.is(program.locked, 10n * page);
    });
  }
}

unmapping("with the flag ALL ends every map, and says how much that was", () => {
  for (const type of [IommuType.TYPE1v2, IommuType.TYPE1]) {
    const { kernel, program, va } = mapped(type);
    program.map(va, TiB, page);
    assert.is(program.unmap(0n, 0n, ALL), 0);
    assert.is(program.u64(16), 11n * page);
    assert.equal(firstPages(kernel), []);
    assert.is(program.unmap(0n, 0n, ALL), 0);
    assert.is(program.u64(16), 0n);
  }
});

unmapping("up to the very end of 64 bits finds nothing, though maps are there: the kernel's sum is 0", () => {
  const { kernel, program } = mapped();
  assert.is(program.unmap(16n * page, TOP - 16n * page), 0);
  assert.is(program.u64(16), 0n);
  assert.is(program.unmap(5n * page, TOP - 5n * page), -errno.EINVAL, "in v2 a cut map is seen first");
  assert.equal(firstPages(kernel), untouched);
  assert.is(program.unmap(16n * page, TOP - 17n * page), 0);
  assert.is(program.u64(16), 4n * page);
  const old = mapped(IommuType.TYPE1);
  assert.is(old.program.unmap(5n * page, TOP - 5n * page), 0);
  assert.is(old.program.u64(16), 0n);
});

unmapping("has no flags on a kernel without capabilities", () => {
  const { kernel, program } = mapped(IommuType.TYPE1v2, { infoCapabilities: false });
  for (const flags of [1, 2, 4]) assert.is(program.unmap(0n, 0n, { flags }), -errno.EINVAL);
  assert.equal(firstPages(kernel), untouched);
  assert.is(program.unmap(16n * page, 4n * page), 0);
});

unmapping("with the struct of MAP takes the iova for the size: the target stays, and what lies below it goes", () => {
  const { kernel, program, va } = mapped();
  const target = 64n * page;
  program.map(va, target, 2n * page);
  assert.is(program.unmapWithMapStruct(0n, target, 2n * page), 0);
  assert.is(program.u64(16), 10n * page);
  assert.equal(firstPages(kernel), [64n]);
});

unmapping("lets the device reach the memory no more, and the neighbours still", () => {
  const { kernel, program, va } = mapped();
  program.unmap(4n * page, 4n * page);
  assert.is(kernel.tceAt(26, 7n * page), undefined);
  assert.is(kernel.tceAt(26, 8n * page)?.va, va + 8n * page);
});

unmapping("tells watchers of every IOVA that goes, as one for maps that adjoin", () => {
  const { kernel, program } = mapped();
  const heard: IovaEvent[] = [];
  kernel.watch((event) => heard.push(event));
  program.unmap(0n, 9n * page);
  assert.equal(heard, []);
  program.unmap(0n, GiB);
  program.unmap(0n, GiB);
  assert.equal(
    heard.map(({ kind, call, iova, length }) => [kind, call, iova / page, length / page]),
    [
      ["cleared", "VFIO_IOMMU_UNMAP_DMA", 4n, 6n],
      ["cleared", "VFIO_IOMMU_UNMAP_DMA", 16n, 4n],
    ],
  );
});

unmapping.run();

const addresses = suite("type1: the flag VADDR");

const VADDR = { flags: 4 };

addresses("takes the address of whole maps, once; the device still reaches their memory", () => {
  const { kernel, program, va } = mapped();
  assert.is(program.unmap(4n * page, page, VADDR), -errno.EINVAL, "a part");
  assert.is(program.unmap(4n * page, 6n * page, VADDR), 0);
  assert.is(program.u64(16), 6n * page);
  assert.is(program.unmap(8n * page, 2n * page, VADDR), -errno.EINVAL);
  assert.is(program.unmap(0n, 0n, { flags: 6 }), -errno.EINVAL);
  assert.is(program.unmap(100n * page, page, VADDR), 0);
  assert.is(program.u64(16), 0n);
  assert.equal(firstPages(kernel), untouched);
  assert.is(kernel.tceAt(26, 5n * page)?.va, va + 5n * page);
  assert.is(program.locked, 10n * page);
});

addresses("leaves all as it was when one of the maps has none any more", () => {
  const { program, va } = mapped();
  program.unmap(8n * page, 2n * page, VADDR);
  assert.is(program.unmap(0n, 100n * page, VADDR), -errno.EINVAL);
  assert.is(program.map(va, 4n * page, 4n * page, VADDR), -errno.EINVAL, "it still has its address");
  assert.is(program.map(va, 8n * page, 2n * page, VADDR), 0);
  assert.is(program.unmap(0n, 100n * page, VADDR), 0);
  assert.is(program.u64(16), 10n * page);
});

addresses("comes back for exactly the map, once, and whatever the memory is", () => {
  const { program, va } = mapped();
  assert.is(program.map(va, 4n * page, 4n * page, VADDR), -errno.EINVAL, "nothing was taken");
  program.unmap(4n * page, 4n * page, VADDR);
  assert.is(program.map(va, 4n * page, page), -errno.EEXIST);
  assert.is(program.map(va, 4n * page, page, VADDR), -errno.EINVAL);
  assert.is(program.map(va, 5n * page, 3n * page, VADDR), -errno.EINVAL);
  assert.is(program.map(va + 40n * page, 4n * page, 4n * page, VADDR), 0);
  assert.is(program.map(va, 4n * page, 4n * page, VADDR), -errno.EINVAL);
  assert.is(program.unmap(4n * page, 4n * page), 0);
  assert.is(program.locked, 6n * page);
});

addresses("keeps a group from joining until every map has one, or is gone", () => {
  const { kernel, program, va } = mapped(IommuType.TYPE1v2, { groups: [26, 27] });
  const second = kernel.open("/dev/vfio/27");
  program.unmap(0n, 12n * page, VADDR);
  assert.is(program.setContainer(second), -errno.EBUSY);
  assert.is(program.map(va, 4n * page, 4n * page, VADDR), 0);
  assert.is(program.setContainer(second), -errno.EBUSY);
  program.unmap(8n * page, 2n * page);
  assert.is(program.setContainer(second), 0);
});

addresses("given by another process makes that one pay", () => {
  const { kernel, program } = mapped();
  const child = kernel.fork();
  const heir = new Rig(child);
  heir.container = program.container;
  const va = heir.allocate(4n * page);
  program.unmap(16n * page, 4n * page, VADDR);
  child.limitLockedMemory({ limit: 3n * page, privileged: false });
  assert.is(heir.map(va, 16n * page, 4n * page, VADDR), -errno.ENOMEM);
  assert.is(program.locked, 10n * page);
  child.limitLockedMemory({ limit: 4n * page, privileged: false });
  assert.is(heir.map(va, 16n * page, 4n * page, VADDR), 0);
  assert.equal([program.locked, heir.locked], [6n * page, 4n * page]);
  program.unmap(16n * page, 4n * page);
  assert.equal([program.locked, heir.locked], [6n * page, 0n]);
});

addresses.run();
