import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { IommuType, MapFlag, Protection, VfioCall } from "../../src/syscalls.ts";
import { GiB, KiB, MiB, Rig, RW } from "./rig.ts";

const page = 4n * KiB;
const options: ModelOptions = { groups: [1, 2], lockedMemory: { limit: GiB, privileged: true } };
const VA = 0x3000_0000_0000n;

/** A program at a place where much can still become different. */
function begun(platform: "powernv" | "pseries" | "type1" = "powernv") {
  const kernel = modelKernel({ ...options, platform });
  const program = new Rig(kernel).start(1, platform === "type1" ? IommuType.TYPE1v2 : IommuType.SPAPR_TCE_V2);
  const va = kernel.mmap(VA, 16n * page, RW, 0, 0);
  if (platform !== "type1") program.register(va, 8n * page);
  program.map(va, MiB, 4n * page);
  return { kernel, program, va };
}

type Begun = ReturnType<typeof begun>;

const same = suite("hash: the same state by another way");

const ways: Record<string, [(one: Begun) => unknown, (one: Begun) => unknown]> = {
  "maps in another order, and in pieces": [
    ({ program, va }) => program.map(va + 4n * page, 0n, 3n * page),
    ({ program, va }) => {
      for (const at of [2n, 0n, 1n]) program.map(va + (4n + at) * page, at * page, page);
    },
  ],
  "something mapped and unmapped again": [
    () => {},
    ({ program, va }) => {
      program.map(va, 0n, page);
      program.unmap(0n, page);
      program.register(va + 8n * page, page);
      program.unregister(va + 8n * page, page);
    },
  ],
  "a window that came and went": [
    ({ program }) => program.unmap(MiB, 16n * page),
    ({ program }) => {
      program.create(16, 4n * GiB);
      program.remove(program.startAddress);
      program.unmap(MiB, 16n * page);
    },
  ],
  "calls that failed": [
    () => {},
    ({ kernel, program, va }) => {
      program.map(va, 2n ** 60n, page);
      program.map(va + 8n * page, 0n, page);
      program.register(va, page);
      program.unregister(va, page);
      kernel.open("/dev/vfio/99");
      kernel.ioctl(3, VfioCall.IOMMU_ENABLE, 0);
    },
  ],
  "neighbouring memory, mmapped at once or one by one": [
    ({ kernel }) => kernel.mmap(VA + MiB, 2n * page, RW, 0, 0),
    ({ kernel }) => {
      kernel.mmap(VA + MiB + page, page, RW, 0, 0);
      kernel.mmap(VA + MiB, page, RW, 0, 0);
    },
  ],
  "containers in another order, and with others before them": [
    ({ kernel }) => new Rig(kernel).start(2),
    ({ kernel }) => {
      kernel.close(kernel.open("/dev/vfio/vfio"));
      const [other, group] = [kernel.open("/dev/vfio/vfio"), kernel.open("/dev/vfio/2")];
      const late = new Rig(kernel);
      late.setContainer(group, other);
      kernel.ioctl(other, VfioCall.SET_IOMMU, IommuType.SPAPR_TCE_V2);
    },
  ],
  "a process that has come and gone": [() => {}, ({ kernel }) => kernel.spawn().exit()],
  "a look at the bytes, at physical addresses and at everything else": [
    () => {},
    ({ kernel, va }) => {
      kernel.unview(kernel.view(va, page));
      kernel.physicalAddresses(va, 2, 4096);
      kernel.device(1).read(MiB, new Uint8Array(100));
      kernel.snapshot();
      kernel.lockedMemory();
      kernel.hash();
    },
  ],
};

for (const [name, [one, other]] of Object.entries(ways)) {
  same(name, () => {
    const [a, b] = [begun(), begun()];
    one(a);
    other(b);
    assert.is(a.kernel.hash(), b.kernel.hash());
    assert.match(a.kernel.hash(), /^[0-9a-f]{64}$/);
  });
}

same("and two models that were made alike", () => {
  for (const platform of ["powernv", "pseries", "type1"] as const) {
    assert.is(begun(platform).kernel.hash(), begun(platform).kernel.hash());
  }
});

same.run();

const different = suite("hash: another state");

const steps: Record<string, (one: Begun) => unknown> = {
  nothing: () => {},
  "a descriptor": ({ kernel }) => kernel.open("/dev/vfio/vfio"),
  "a group open": ({ kernel }) => kernel.open("/dev/vfio/2"),
  "a group in a container": ({ kernel, program }) => program.setContainer(kernel.open("/dev/vfio/2")),
  "another container with its driver": ({ kernel }) => new Rig(kernel).start(2),
  "an open device": ({ kernel }) =>
    kernel.ioctlStruct(4, VfioCall.GROUP_GET_DEVICE_FD, new TextEncoder().encode("0000:00:01.0\0"), 0),
  "a map more": ({ program, va }) => program.map(va, 0n, page),
  "a map elsewhere": ({ program, va }) => program.map(va, page, page),
  "a map of other memory": ({ program, va }) => program.map(va + page, 0n, page),
  "a map for reading alone": ({ program, va }) => program.map(va, 0n, page, { flags: 1 }),
  "a map behind the window's end": ({ program, va }) => program.map(va, 2n * GiB - page, 2n * page),
  "a replaced TCE": ({ program, va }) => program.map(va + page, MiB, page),
  "an unmap": ({ program }) => program.unmap(MiB, page),
  "memory unmapped under a map": ({ kernel, va }) => kernel.munmap(va, page),
  "other memory under a map": ({ kernel, va }) => kernel.mmap(va, page, RW, MapFlag.FIXED, 0),
  "other memory where some is registered": ({ kernel, va }) => kernel.mmap(va + 6n * page, page, RW, MapFlag.FIXED, 0),
  "memory that may only be read": ({ kernel, va }) =>
    kernel.mmap(va + 15n * page, page, Protection.READ, MapFlag.FIXED, 0),
  "memory that is protected otherwise": ({ kernel, va }) => kernel.protect(va + 15n * page, page, Protection.NONE),
  "memory that cannot be pinned": ({ kernel, va }) => kernel.makeUnpinnable(va + 15n * page, page),
  "more memory": ({ kernel }) => kernel.mmap(VA + GiB, page, RW, 0, 0),
  hugepages: ({ kernel }) => kernel.mmap(VA + GiB, 2n * MiB, RW, MapFlag.HUGETLB, 21),
  "a registration": ({ program, va }) => program.register(va + 8n * page, page),
  "a longer registration": ({ program, va }) => program.register(va + 8n * page, 2n * page),
  "a zombie": ({ program, va }) => program.unregister(va, 8n * page),
  "a zombie that came back": ({ program, va }) => {
    program.unregister(va, 8n * page);
    program.register(va, 8n * page);
  },
  "a zombie, unmapped": ({ program, va }) => {
    program.unregister(va, 8n * page);
    program.unmap(MiB, 4n * page);
  },
  "a registration less": ({ program, va }) => {
    program.unmap(MiB, 4n * page);
    program.unregister(va, 8n * page);
  },
  "a window": ({ program }) => program.create(16, 4n * GiB),
  "a window with other pages": ({ program }) => program.create(21, 4n * GiB),
  "a window with more levels": ({ program }) => program.create(16, 4n * GiB, 2),
  "a window less": ({ program }) => program.remove(0n),
  "a leaked charge": ({ program }) => program.create(12, 16n * GiB),
  "another limit": ({ kernel }) => kernel.limitLockedMemory({ limit: MiB }),
  "a dropped capability": ({ kernel }) => kernel.limitLockedMemory({ privileged: false }),
  "a process more": ({ kernel }) => kernel.spawn(),
  "a child": ({ kernel }) => kernel.fork(),
  "a child that has a container": ({ kernel }) => kernel.spawn().open("/dev/vfio/vfio"),
  "an ended process": ({ kernel }) => kernel.exit(),
  "an owner that ended, and a child with its container": ({ kernel }) => {
    kernel.fork();
    kernel.exit();
  },
};

different("after every step that changes anything", () => {
  const seen = new Map<string, string>();
  for (const [name, step] of Object.entries(steps)) {
    const one = begun();
    step(one);
    const hash = one.kernel.hash();
    assert.is(seen.get(hash), undefined, `${name} looks like ${seen.get(hash)}`);
    seen.set(hash, name);
  }
});

different("before the default window is made, without it, and before a container belongs to anybody", () => {
  const make = (act: (program: Rig, va: bigint) => unknown): string => {
    const kernel = modelKernel(options);
    const program = new Rig(kernel).start(1);
    act(program, program.allocate(page));
    return kernel.hash();
  };
  const hashes = [
    make(() => {}),
    make((program) => program.remove(0n)),
    make((program) => program.register(1n, page)),
    make((program, va) => program.register(va, page)),
    make((program, va) => {
      program.register(va, page);
      program.unregister(va, page);
    }),
  ];
  assert.is(new Set(hashes).size, hashes.length);
});

different("where firmware has refused a window for ever, which outlives the process", () => {
  const hashes = [() => {}, ({ program }: Begun) => program.create(21, GiB)].map((refuse) => {
    const one = begun("pseries");
    one.program.remove(0n);
    one.program.create(16, GiB);
    refuse(one);
    one.kernel.spawn();
    one.kernel.exit();
    return one.kernel.hash();
  });
  assert.is.not(hashes[0], hashes[1]);
});

different("where memory was registered in another order of pages, though all of it has been unmapped since", () => {
  const hashes = [0n, 2n * MiB].map((hugepageAt) => {
    const { kernel, program } = begun();
    const at = VA + GiB;
    for (const offset of [0n, 2n * MiB]) {
      const huge = offset === hugepageAt;
      kernel.mmap(at + offset, 2n * MiB, RW, MapFlag.FIXED | (huge ? MapFlag.HUGETLB : 0), huge ? 21 : 0);
    }
    assert.is(program.register(at, 4n * MiB), 0);
    kernel.munmap(at, 4n * MiB);
    return kernel.hash();
  });
  assert.is.not(hashes[0], hashes[1], "one may be mapped with TCE pages of 2 MiB");
});

different("on another machine", () => {
  const make = (kernel: ModelKernel) => kernel.hash();
  const hashes = [
    make(modelKernel({ platform: "pseries" })),
    make(modelKernel({ platform: "type1" })),
    make(modelKernel({ platform: "noiommu" })),
    make(modelKernel()),
    make(modelKernel({ pageSize: 65536 })),
    make(modelKernel({ pgsizes: 0x1000n })),
    make(modelKernel({ groups: [1] })),
    make(modelKernel({ hugepages: {} })),
  ];
  assert.is(new Set(hashes).size, hashes.length);
});

different("on type1 where a map ends, which UNMAP asks about", () => {
  const [whole, parts] = [begun("type1"), begun("type1")];
  whole.program.map(whole.va, 0n, 2n * page);
  for (const at of [0n, page]) parts.program.map(parts.va + at, at, page);
  assert.equal(whole.kernel.live(1), parts.kernel.live(1), "a device sees no difference");
  assert.is.not(whole.kernel.hash(), parts.kernel.hash());
});

different.run();
