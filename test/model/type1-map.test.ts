import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelKernel, type ModelOptions, ModelUnknown, modelKernel } from "../../src/model/index.ts";
import { IommuType, Protection } from "../../src/syscalls.ts";
import { answer, errno, GiB, KiB, MiB, Rig, TiB } from "./rig.ts";

const page = 4n * KiB;
const TOP = 1n << 64n;
/** Where VT-d ends. */
const HULL = 1n << 48n;

interface Mapping {
  readonly kernel: ModelKernel;
  readonly program: Rig;
  /** 64 pages that can be read and written. */
  readonly va: bigint;
}

function ready(options: ModelOptions = {}, type: number = IommuType.TYPE1v2): Mapping {
  const kernel = modelKernel({ platform: "type1", ...options });
  const program = new Rig(kernel).start(26, type);
  return { kernel, program, va: program.allocate(64n * page) };
}

const mapping = suite("type1: MAP");

const rows: [string, (program: Rig, va: bigint) => number, number][] = [
  ["a page", (p, va) => p.map(va, 0n, page), 0],
  ["a longer struct", (p, va) => p.map(va, 0n, page, { argsz: 99 }), 0],
  ["a short struct", (p, va) => p.map(va, 0n, page, { argsz: 31 }), -errno.EINVAL],
  ["argsz 0", (p, va) => p.map(va, 0n, page, { argsz: 0 }), -errno.EINVAL],
  ["flags 0", (p, va) => p.map(va, 0n, page, { flags: 0 }), -errno.EINVAL],
  ["an unknown flag", (p, va) => p.map(va, 0n, page, { flags: 8 | 3 }), -errno.EINVAL],
  ["the highest flag", (p, va) => p.map(va, 0n, page, { flags: 0x8000_0003 }), -errno.EINVAL],
  ["a new address and access at once", (p, va) => p.map(va, 0n, page, { flags: 4 | 1 }), -errno.EINVAL],
  ["a new address where nothing is mapped", (p, va) => p.map(va, 0n, page, { flags: 4 }), -errno.ENOENT],
  ["size 0", (p, va) => p.map(va, 0n, 0n), -errno.EINVAL],
  ["an unaligned size", (p, va) => p.map(va, 0n, page + 1n), -errno.EINVAL],
  ["an unaligned iova", (p, va) => p.map(va, 1n, page), -errno.EINVAL],
  ["an unaligned vaddr", (p, va) => p.map(va + 1n, 0n, page), -errno.EINVAL],
  ["an iova that wraps", (p, va) => p.map(va, TOP - page, 2n * page), -errno.EINVAL],
  ["a vaddr that wraps", (p) => p.map(TOP - page, 0n, 2n * page), -errno.EINVAL],
  ["the last page of all addresses", (p) => p.map(TOP - page, 0n, page), -errno.EFAULT],
  ["the last page of all iovas", (p, va) => p.map(va, TOP - page, page), -errno.EINVAL],
  ["up to the end of all iovas", (p, va) => p.map(va, page, TOP - page), -errno.EINVAL],
  ["the largest size", (p, va) => p.map(va, 0n, TOP - page), -errno.EINVAL],
  ["the last allowed page", (p, va) => p.map(va, HULL - page, page), 0],
  ["one page more", (p, va) => p.map(va, HULL - page, 2n * page), -errno.EINVAL],
  ["behind the last", (p, va) => p.map(va, HULL, page), -errno.EINVAL],
  ["up to the interrupts' place", (p, va) => p.map(va, 0xfedf_f000n, page), 0],
  ["into it", (p, va) => p.map(va, 0xfedf_f000n, 2n * page), -errno.EINVAL],
  ["all of it", (p, va) => p.map(va, 0xfee0_0000n, MiB), -errno.EINVAL],
  ["behind it", (p, va) => p.map(va, 0xfef0_0000n, page), 0],
  ["nothing at vaddr", (p) => p.map(0n, 0n, page), -errno.EFAULT],
  ["nothing at vaddr and no such iova", (p) => p.map(0n, HULL, page), -errno.EINVAL],
  ["memory that ends too early", (p, va) => p.map(va + 60n * page, 0n, 5n * page), -errno.EFAULT],
];

for (const [situation, act, expected] of rows) {
  for (const type of [IommuType.TYPE1v2, IommuType.TYPE1]) {
    mapping(`${situation} answers ${answer(expected)}${type === IommuType.TYPE1 ? ", in v1 too" : ""}`, () => {
      const { kernel, program, va } = ready({}, type);
      assert.is(act(program, va), expected);
      if (expected === 0) return;
      assert.equal(kernel.snapshot().containers[0]?.maps, []);
      assert.is(program.locked, 0n);
    });
  }
}

const taken: [string, bigint, bigint][] = [
  ["the same", 8n, 4n],
  ["inside", 9n, 1n],
  ["around", 0n, 32n],
  ["its first page", 6n, 3n],
  ["its last page", 11n, 3n],
];

for (const [where, first, pages] of taken) {
  mapping(`over a map, ${where}: EEXIST, and what was there stays`, () => {
    const { kernel, program, va } = ready();
    program.map(va, 8n * page, 4n * page);
    assert.is(program.map(va + 32n * page, first * page, pages * page), -errno.EEXIST);
    assert.is(kernel.tceAt(26, 8n * page)?.va, va);
    assert.is(kernel.snapshot().containers[0]?.maps.length, 1);
    assert.is(program.locked, 4n * page);
  });
}

mapping("beside a map makes another: neighbours stay apart", () => {
  const { kernel, program, va } = ready();
  for (const at of [1n, 0n, 2n]) assert.is(program.map(va + at * page, at * page, page), 0);
  const maps = kernel.snapshot().containers[0]?.maps ?? [];
  assert.equal(
    maps.map(({ iova, size }) => [iova, size]),
    [0n, 1n, 2n].map((at) => [at * page, page]),
  );
});

mapping("to the end of 64 bits over a map finds no overlap: the kernel's sum is 0", () => {
  const { program, va } = ready();
  program.map(va, page, page);
  assert.is(program.map(va, page, TOP - page), -errno.EINVAL);
  assert.is(program.map(0n, page, TOP - page), -errno.EINVAL);
  assert.is(program.map(page, page, TOP - 2n * page), -errno.EEXIST);
});

mapping("takes what memory allows: readable memory to be read, writable memory to be written", () => {
  const { kernel, program } = ready();
  const readOnly = program.allocate(page, Protection.READ);
  const none = program.allocate(page, Protection.NONE);
  assert.is(program.map(readOnly, 0n, page, { flags: 3 }), -errno.EFAULT);
  assert.is(program.map(readOnly, 0n, page, { flags: 2 }), -errno.EFAULT);
  assert.is(program.map(readOnly, 0n, page, { flags: 1 }), 0);
  assert.is(program.map(none, page, page, { flags: 1 }), -errno.EFAULT);
  assert.equal(kernel.tceAt(26, 0n), { va: readOnly, read: true, write: false });
  assert.is(program.locked, page);
});

mapping("reads through WRITE only on VT-d, and not where the option says so, nor on an SMMU", () => {
  const cases: [ModelOptions, boolean][] = [
    [{}, true],
    [{ readsThroughWriteOnly: false }, false],
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

mapping("takes hugetlb memory in pieces of the CPU's page", () => {
  const { kernel, program } = ready();
  const va = program.allocateHuge(4n * MiB, 21);
  assert.is(program.map(va + page, 3n * page, 2n * MiB), 0);
  assert.is(kernel.tceAt(26, 3n * page + 2n * MiB - 1n)?.va, va + page + 2n * MiB - 1n);
  assert.is(program.locked, 2n * MiB);
});

for (const pageSize of [16384, 65536]) {
  mapping(`counts in CPU pages of ${pageSize}`, () => {
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

mapping(
  "past what the IOMMU reaches goes unanswered on a kernel without capabilities; holes are no matter there",
  () => {
    const { program, va } = ready({ infoCapabilities: false });
    assert.is(program.map(va, 0xfee0_0000n, page), 0);
    assert.is(program.map(va, HULL - page, page), 0);
    assert.is(program.map(va, 0n, page, { flags: 4 }), -errno.EINVAL, "no such flag");
    assert.throws(
      () => program.map(va, HULL, page),
      (error: unknown) => error instanceof ModelUnknown && error.situation.includes("0x1000000000000"),
    );
  },
);

mapping.run();

const limits = suite("type1: MAP and limits");

limits("ENOSPC after as many maps as there may be, and only then, in the kernel's order", () => {
  const { program, va } = ready({ dmaEntryLimit: 3 });
  for (const at of [0n, 2n, 4n]) assert.is(program.map(va, at * page, page), 0);
  assert.is(program.map(va, 6n * page, page), -errno.ENOSPC);
  assert.is(program.map(va, 0n, page), -errno.EEXIST);
  assert.is(program.map(va, HULL, page), -errno.ENOSPC, "before the ranges are looked at");
  assert.is(program.map(0n, 6n * page, page), -errno.ENOSPC, "before the memory is");
  assert.is(program.map(va, 6n * page + 1n, page), -errno.EINVAL);
  program.unmap(2n * page, page);
  assert.is(program.map(va, 6n * page, page), 0);
});

limits("none can be made where none may be", () => {
  const { program, va } = ready({ dmaEntryLimit: 0 });
  assert.is(program.map(va, 0n, page), -errno.ENOSPC);
  assert.is(program.map(va, TOP - page, page), -errno.ENOSPC, "an iova that ends with 64 bits is one");
  assert.is(program.map(va, TOP - page, 2n * page), -errno.EINVAL, "one that wraps is none");
});

limits("65535 maps by default, and all of them go at once", () => {
  const { kernel, program, va } = ready();
  for (let index = 0; index < 65535; index++) {
    const at = BigInt((index * 7919) % 65535);
    if (program.map(va, at * 2n * page, page) !== 0) assert.unreachable(`map ${index}`);
  }
  assert.is(program.map(va, TiB, page), -errno.ENOSPC);
  assert.is(program.locked, 65535n * page);
  assert.is(program.unmap(0n, TiB), 0);
  assert.is(program.u64(16), 65535n * page);
  assert.is(program.locked, 0n);
  assert.equal(kernel.snapshot().containers[0]?.maps, []);
});

/** 16 pages may be locked, as by a user without privileges. */
function limited(): Mapping {
  return ready({ lockedMemory: { limit: 64n * KiB, privileged: false } });
}

limits("exactly the limit is fine, one page more is ENOMEM, and nothing is left of it", () => {
  const { kernel, program, va } = limited();
  assert.is(program.map(va, 0n, 17n * page), -errno.ENOMEM);
  assert.equal(kernel.snapshot().containers[0]?.maps, []);
  assert.is(program.locked, 0n);
  assert.is(program.map(va, 0n, 16n * page), 0);
  assert.is(program.map(va, 32n * page, page), -errno.ENOMEM);
  assert.is(program.map(va, 0n, page), -errno.EEXIST, "an overlap is seen first");
  assert.is(program.map(va, 0xfee0_0000n, page), -errno.EINVAL, "so is an iova that cannot be");
  assert.is(program.map(0n, 64n * page, page), -errno.EFAULT, "and memory that is not there");
  assert.is(program.map(program.allocate(page, Protection.READ), 64n * page, page), -errno.EFAULT);
});

limits("a page that is mapped twice counts twice, also in two containers", () => {
  const kernel = modelKernel({
    platform: "type1",
    groups: [1, 2],
    lockedMemory: { limit: 64n * KiB, privileged: false },
  });
  const first = new Rig(kernel).start(1, IommuType.TYPE1v2);
  const second = new Rig(kernel).start(2, IommuType.TYPE1v2);
  const va = first.allocate(16n * page);
  assert.is(first.map(va, 0n, 6n * page), 0);
  assert.is(first.map(va, GiB, 6n * page), 0);
  assert.is(first.locked, 12n * page);
  assert.is(second.map(va, 0n, 4n * page), 0);
  assert.is(second.map(va, GiB, page), -errno.ENOMEM);
  assert.is(kernel.snapshot().charges.pinnedBytes, 16n * page);
  assert.is(first.unmap(GiB, 6n * page), 0);
  assert.is(second.locked, 10n * page);
});

for (const [hole, expected] of [
  [10n, -errno.EFAULT],
  [16n, -errno.EFAULT],
  [17n, -errno.ENOMEM],
] as const) {
  limits(
    `memory that ends after ${hole} pages under a limit of 16: ${answer(expected)}, whichever page comes first`,
    () => {
      const { kernel, program, va } = limited();
      kernel.munmap(va + hole * page, page);
      assert.is(program.map(va, 0n, 20n * page), expected);
      assert.is(program.locked, 0n);
    },
  );
}

limits("are read at the map: a process that loses its privilege keeps what it has", () => {
  const lockedMemory = { limit: 64n * KiB, privileged: true };
  const { program, va } = ready({ lockedMemory });
  assert.is(program.map(va, 0n, 32n * page), 0);
  lockedMemory.privileged = false;
  assert.is(program.map(va, GiB, page), -errno.ENOMEM);
  assert.is(program.map(va, 0n, page), -errno.EEXIST);
  assert.is(program.map(0n, GiB, page), -errno.EFAULT);
  assert.is(program.unmap(0n, 32n * page), 0);
  assert.is(program.map(va, GiB, 16n * page), 0);
});

limits.run();
