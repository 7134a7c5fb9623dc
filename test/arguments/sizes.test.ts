/** A size is a bigint or a number, wherever the public API takes one; an address is a bigint. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable, modelKernel, openContainer, physicalAddresses, planWindow } from "../../src/index.ts";
import { badValues } from "../support/bad-values.ts";
import { refusesArgument } from "../support/failure.ts";

type Size = bigint | number;

const MiB = 1 << 20;
const PAGE = 4096;
const BASE = 1n << 32n;

function ground() {
  const kernel = modelKernel();
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB, base: BASE });
  const container = openContainer({ kernel, groups: [26] });
  const info = container.info();
  const window = container.createWindow(planWindow({ memory, info, growTo: 16 * MiB }));
  return { kernel, memory, list, container, info, window, va: kernel.mmap(0n, BigInt(MiB), 3, 8, 0) };
}

type Ground = ReturnType<typeof ground>;

interface Case {
  readonly size: number;
  /** What comes of it, as plain data: the same for both. */
  readonly call: (ground: Ground, size: Size) => unknown;
  /** Values that are no sizes and may stand there all the same. */
  readonly allowed?: readonly string[];
}

const noted = (ranges: Iterable<{ readonly va: bigint; readonly length: bigint }>) =>
  [...ranges].map(({ va, length }) => [va, length]);

const withList = ({ info }: Ground, change: object) =>
  planWindow({ memory: { lists: [{ base: BASE, length: MiB, pageSize: PAGE, ...change }] }, info });

const options = (change: object) => {
  const kernel = modelKernel(change);
  const container = openContainer({ kernel, groups: [26] });
  const seen = [kernel.pageSize, kernel.lockedMemory(), container.info()];
  container.close();
  return seen;
};

const cases: Record<string, Case> = {
  "planWindow, growTo": {
    size: 64 * MiB,
    call: ({ memory, info }, growTo) => planWindow({ memory, info, growTo }),
    allowed: ["undefined"],
  },
  "planWindow, memory.bytes": {
    size: MiB,
    call: ({ info }, bytes) => planWindow({ memory: { lists: [], bytes }, info, growTo: MiB }),
    allowed: ["undefined"],
  },
  "planWindow, a list's length": { size: MiB, call: (all, length) => withList(all, { length }) },
  "planWindow, a list's pageSize": { size: PAGE, call: (all, pageSize) => withList(all, { pageSize }) },
  "createWindow, plan.size": {
    size: 32 * MiB,
    call: ({ container, memory, info }, size) => {
      const plan = { ...planWindow({ memory, info, growTo: 16 * MiB }), size: size as bigint };
      const window = container.createWindow(plan);
      window.close();
      return window.size;
    },
  },
  "addList, pageSize": {
    size: PAGE,
    call: ({ memory }, pageSize) => {
      const list = memory.addList({ pageSize, maxBytes: MiB, base: 2n * BASE });
      memory.removeList(list);
      return list.pageSize;
    },
  },
  "addList, maxBytes": {
    size: MiB,
    call: ({ memory }, maxBytes) => {
      const list = memory.addList({ pageSize: PAGE, maxBytes, base: 2n * BASE });
      memory.removeList(list);
      return list.length;
    },
  },
  "add, memseg.length": {
    size: PAGE,
    call: ({ memory, list }, length) => {
      memory.add(list, { va: BASE, length });
      const there = noted(memory.memsegs());
      memory.remove(BASE);
      return there;
    },
  },
  "memsegs, length": {
    size: PAGE,
    call: ({ memory, list }, length) => {
      memory.add(list, { va: BASE, length: PAGE });
      memory.add(list, { va: BASE + 4096n, length: PAGE });
      try {
        return noted(memory.memsegs(BASE, length));
      } finally {
        memory.remove(BASE);
        memory.remove(BASE + 4096n);
      }
    },
    allowed: ["undefined"],
  },
  "map and unmap, length": {
    size: MiB,
    call: ({ window, va }, length) => {
      const iova = window.map({ va, length });
      const there = noted(window.maps());
      window.unmap({ iova, length });
      return there;
    },
  },
  "unmap, length": {
    size: MiB,
    call: ({ window, va }, length) => {
      const [iova] = window.mapMany([{ va, length: MiB, iova: 0n }]);
      try {
        window.unmap({ iova: iova as bigint, length });
      } finally {
        if (window.liveBytes > 0n) window.unmap({ iova: iova as bigint, length: MiB });
      }
      return window.liveBytes;
    },
  },
  "contains, length": { size: PAGE, call: ({ window }, length) => window.contains(0n, length as bigint) },
  "physicalAddresses, pageSize": { size: PAGE, call: (_, size) => physicalAddresses(0n, 0, size).length },
  "physicalAddresses, cpuPageSize": {
    size: PAGE,
    call: (_, cpuPageSize) => physicalAddresses(0n, 0, PAGE, { cpuPageSize }).length,
    allowed: ["undefined"],
  },
  "modelKernel, pageSize": {
    size: 65536,
    call: (_, pageSize) => options({ pageSize }),
    allowed: ["undefined"],
  },
  "modelKernel, ram": { size: 2 ** 34, call: (_, ram) => options({ ram }), allowed: ["undefined"] },
  "modelKernel, defaultWindowSize": {
    size: 64 * MiB,
    call: (_, defaultWindowSize) => options({ defaultWindowSize }),
    allowed: ["undefined"],
  },
  "modelKernel, firmwareLargestBlock": {
    size: 1 << 20,
    call: (_, firmwareLargestBlock) => options({ platform: "pseries", firmwareLargestBlock }),
    allowed: ["undefined"],
  },
  "modelKernel, lockedMemory.limit": {
    size: MiB,
    call: (_, limit) => options({ lockedMemory: { limit, privileged: true } }),
    allowed: ["null"],
  },
  "limitLockedMemory, limit": {
    size: MiB,
    call: ({ kernel }, limit) => {
      kernel.limitLockedMemory({ limit });
      return kernel.lockedMemory().limit;
    },
    allowed: ["undefined", "null"],
  },
  "protect, length": { size: MiB, call: ({ kernel, va }, length) => kernel.protect(va, length, 3) },
  "makeUnpinnable, length": { size: MiB, call: ({ kernel, va }, length) => kernel.makeUnpinnable(va, length) },
};

const sizes = suite("a size is a bigint or a number");

for (const [name, { size, call, allowed = [] }] of Object.entries(cases)) {
  sizes(name, () => {
    const all = ground();
    assert.equal(call(all, size), call(all, BigInt(size)), "the same comes of both");
    // An exact number above 2^53 - 1 is refused too: whoever has one may have rounded it.
    for (const [what, value] of [...badValues(...allowed), ["2^60", 2 ** 60] as const]) {
      const error = refusesArgument(() => call(all, value as Size));
      const isKind = error instanceof TypeError;
      if (isKind) assert.match(error.message, /must be .*a number/, `${what}: ${error.message}`);
    }
    all.container.close();
  });
}

sizes.run();
