/** MAP and UNMAP of type1 where the rows end: the edge of 64 bits, the flag VADDR, and what watchers hear. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type IovaEvent, type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { IommuType } from "../../src/syscalls.ts";
import { answer, errno, GiB, KiB, Rig } from "./rig.ts";

const page = 4n * KiB;
const OLD = { linux: "6.17.13" };
const TOP = 1n << 64n;

interface Mapped {
  readonly kernel: ModelKernel;
  readonly program: Rig;
  readonly va: bigint;
}

function ready(options: ModelOptions = {}, type: number = IommuType.TYPE1v2): Mapped {
  const kernel = modelKernel({ platform: "type1", ...options });
  const program = new Rig(kernel).start(26, type);
  return { kernel, program, va: program.allocate(64n * page) };
}

/** Three maps, in pages: [4, 8), [8, 10), and after a hole [16, 20). */
function mapped(type: number = IommuType.TYPE1v2, options: ModelOptions = {}): Mapped {
  const { kernel, program, va } = ready(options, type);
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

const edges = suite("type1: the edge of 64 bits");

edges("MAP up to it finds no overlap before 6.18: the kernel's sum is 0", () => {
  const { program, va } = ready(OLD);
  program.map(va, page, page);
  assert.is(program.map(va, page, TOP - page), -errno.EINVAL);
  assert.is(program.map(0n, page, TOP - page), -errno.EINVAL);
  assert.is(program.map(page, page, TOP - 2n * page), -errno.EEXIST);
});

edges("MAP up to it finds what is there", () => {
  const { program, va } = ready();
  program.map(va, page, page);
  assert.is(program.map(0n, page, TOP - page), -errno.EEXIST);
  assert.is(program.map(0n, 2n * page, TOP - 2n * page), -errno.EINVAL, "no range is that long");
  assert.is(program.map(va, page, TOP - page), -errno.EOVERFLOW, "the memory wraps");
});

edges("MAP up to it is looked at only after ENOSPC, MAP past it before", () => {
  for (const [linux, refusal] of [
    ["6.17.13", -errno.EINVAL],
    ["6.18", -errno.EOVERFLOW],
  ] as const) {
    const { program, va } = ready({ dmaEntryLimit: 0, linux });
    assert.is(program.map(va, 0n, page), -errno.ENOSPC);
    assert.is(program.map(va, TOP - page, page), -errno.ENOSPC, "an iova that ends with 64 bits is one");
    assert.is(program.map(va, TOP - page, 2n * page), refusal, "one that wraps is none");
    assert.is(program.map(va, TOP - 1n, 2n), refusal, "by a byte");
    assert.is(program.map(va, TOP - 1n, 1n), -errno.EINVAL, "by none");
    assert.is(program.map(TOP - 1n, 0n, 1n), -errno.EINVAL);
    assert.is(program.map(va, TOP - page, 0n), -errno.EINVAL, "of no bytes");
  }
});

edges("the last page there is can be nobody's memory: EFAULT, not EINVAL", () => {
  const { program } = ready();
  assert.is(program.map(TOP - page, 0n, page), -errno.EFAULT);
  assert.is(program.map(0n, 0n, TOP - page), -errno.EINVAL, "no range is that long");
  assert.is(program.map(0n, 1n << 48n, page), -errno.EINVAL, "the ranges come before the memory");
});

edges("UNMAP up to it ends what is there", () => {
  for (const type of [IommuType.TYPE1, IommuType.TYPE1v2]) {
    const { kernel, program } = mapped(type);
    assert.is(program.unmap(16n * page, TOP - 16n * page), 0);
    assert.is(program.u64(16), 4n * page);
    assert.equal(firstPages(kernel), [4n, 8n]);
    assert.is(program.unmap(16n * page, TOP - 15n * page), -errno.EOVERFLOW);
    assert.is(program.unmap(page, TOP - page), 0);
    assert.equal(firstPages(kernel), []);
  }
});

edges("UNMAP up to it finds nothing before 6.18, though maps are there: the kernel's sum is 0", () => {
  const { kernel, program } = mapped(IommuType.TYPE1v2, OLD);
  assert.is(program.unmap(16n * page, TOP - 16n * page), 0);
  assert.is(program.u64(16), 0n);
  assert.is(program.unmap(5n * page, TOP - 5n * page), -errno.EINVAL, "in v2 a cut map is seen first");
  assert.equal(firstPages(kernel), untouched);
  assert.is(program.unmap(16n * page, TOP - 17n * page), 0);
  assert.is(program.u64(16), 4n * page);
  const old = mapped(IommuType.TYPE1, OLD);
  assert.is(old.program.unmap(5n * page, TOP - 5n * page), 0);
  assert.is(old.program.u64(16), 0n);
});

edges.run();

const limits = suite("type1: a limit of 16 pages");

for (const [hole, expected] of [
  [10n, -errno.EFAULT],
  [16n, -errno.EFAULT],
  [17n, -errno.ENOMEM],
] as const) {
  limits(`and memory that ends after ${hole}: ${answer(expected)}, whichever comes first`, () => {
    const lockedMemory = { limit: 64n * KiB, privileged: false };
    const { kernel, program, va } = ready({ lockedMemory });
    kernel.munmap(va + hole * page, page);
    assert.is(program.map(va, 0n, 20n * page), expected);
    assert.is(program.locked, 0n);
  });
}

limits("that came after more was locked takes nothing away, and is asked only once there is memory to lock", () => {
  const { kernel, program, va } = ready();
  assert.is(program.map(va, 0n, 32n * page), 0);
  kernel.limitLockedMemory({ limit: 64n * KiB, privileged: false });
  assert.is(program.map(va, GiB, page), -errno.ENOMEM);
  assert.is(program.map(va, 0n, page), -errno.EEXIST);
  assert.is(program.map(0n, GiB, page), -errno.EFAULT);
  assert.is(program.unmap(0n, 32n * page), 0);
  assert.is(program.map(va, GiB, 16n * page), 0);
});

limits.run();

const watching = suite("type1: watch");

watching("UNMAP tells watchers of every IOVA that goes, as one for maps that adjoin", () => {
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

watching.run();

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

addresses("gives nothing an address where nothing is mapped", () => {
  const { program, va } = ready();
  assert.is(program.map(va, 0n, page, VADDR), -errno.ENOENT);
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
