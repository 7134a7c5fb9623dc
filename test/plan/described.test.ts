/** Machines that are described; which limit comes first; pages of other sizes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { CONTAINER } from "../../src/iommu.ts";
import { comparePageSizes } from "../../src/plan/compare.ts";
import { describedMachine, parseMachine } from "../../src/plan/described.ts";
import { planWindow } from "../../src/plan/index.ts";
import { limitsOf } from "../../src/plan/limits.ts";
import { MACHINES } from "../../src/plan/machines.ts";
import { bytesIn } from "../../src/plan/sizes.ts";
import type { PlanRequest } from "../../src/plan/types.ts";
import { failure } from "../support/failure.ts";
import { Random } from "../support/random.ts";
import { GiB, KiB, list, MiB, TiB, type1 } from "./facts.ts";

const machines = suite("a described machine");

for (const [name, machine] of Object.entries(MACHINES)) {
  machines(`that is shipped can be planned for, and survives being written down: ${name}`, () => {
    const described = describedMachine(machine);
    assert.equal(parseMachine(JSON.stringify(machine)), described);
    const plan = planWindow(described.request);
    assert.ok(limitsOf(described.request, plan).length > 0);
  });
}

machines("of 64 TiB has one window for all of it, in pages of 1 GiB", () => {
  const { request } = describedMachine(MACHINES.power10);
  const plan = planWindow(request);
  assert.equal([plan.size, plan.pageShift, plan.levels], [64n * TiB, 30, 1]);
});

machines("has what such machines have where nothing is said", () => {
  const { request } = describedMachine({ platform: "pseries", growTo: "1G" });
  const { info } = request;
  assert.ok(info.kind === "spapr");
  assert.equal([info.cpuPageSize, info.pageSizes, info.levels, info.dynamicWindows], [65536, 0x1211000n, 1, true]);
  const x86 = describedMachine({ platform: "type1", growTo: 4096, addressBits: 39 }).request.info;
  assert.ok(x86.kind === "type1");
  assert.equal(x86.ranges.at(-1)?.last, (1n << 39n) - 1n);
  assert.equal([x86.pageSizes, x86.mapsAvailable], [0x40201000n, 65535]);
});

const bad: readonly (readonly [string, unknown, string])[] = [
  ["platform", {}, '"powernv", "pseries", "type1", "noiommu"'],
  ["platform", { platform: "x86" }, "powernv"],
  ["lists", { platform: "type1" }, "what memory there will be"],
  ["lists[0].bytes", { platform: "type1", lists: [{ bytes: "64Q" }] }, 'such as "64G"'],
  ["lists[0].bytes", { platform: "type1", lists: [{ bytes: 5000 }] }, "whole pages"],
  ["lists[0].bytes", { platform: "type1", lists: [{ bytes: "16384P" }] }, "below 2^64"],
  ["lists[0].pageSize", { platform: "type1", lists: [{ bytes: "1G", pageSize: "3M" }] }, "power of two from 4K to 1T"],
  ["lists[0].base", { platform: "type1", lists: [{ bytes: "1G", base: "0x10" }] }, "multiple"],
  ["lists[0].size", { platform: "type1", lists: [{ bytes: "1G", size: 1 }] }, 'has no "size"'],
  ["memlok", { platform: "type1", growTo: "1G", memlok: "1G" }, 'did you mean "memlock"?'],
  ["addressBits", { platform: "type1", growTo: "1G", addressBits: 65 }, "from 33 to 64"],
  ["levels", { platform: "powernv", growTo: "1G", levels: 0 }, "from 1"],
  ["iommuPageSizes[1]", { platform: "type1", growTo: "1G", iommuPageSizes: ["4K", "5K"] }, "power of two"],
  [
    "ranges[1].start",
    {
      platform: "type1",
      growTo: "1G",
      ranges: [
        { start: 0, last: 9 },
        { start: 5, last: 7 },
      ],
    },
    "behind",
  ],
  ["deviceAddressBits", { platform: "type1", growTo: "1G", deviceAddressBits: 0 }, "from 1 to 64"],
  [
    "hugepages[0].total",
    { platform: "type1", growTo: "1G", hugepages: [{ pageSize: "2M", total: -1 }] },
    "whole number",
  ],
  ["it", { platform: "type1", growTo: "1G", version: 2 }, "from 1 to 1"],
  ["highestRam", { platform: "noiommu", lists: [{ bytes: "1G" }] }, "in IOVA mode pa"],
  ["highestRam", { platform: "type1", iovaMode: "pa", lists: [{ bytes: "1G" }], ram: 0 }, "(or ram, or growTo)"],
];

for (const [field, document, words] of bad) {
  machines(`is refused: ${JSON.stringify(document)}`, () => {
    const error = failure("ERR_MACHINE_MALFORMED", () => describedMachine(document));
    assert.ok(error.message.includes(words), error.message);
    if (field !== "it") assert.is(error.facts?.field, field);
    const { must } = error.facts ?? {};
    if (/ has no "/.test(error.message)) assert.is(must, undefined);
    else assert.ok(error.message.includes(` must ${must}; `), error.message);
  });
}

machines("has no control characters in its name", () => {
  assert.is(describedMachine({ platform: "type1", growTo: "1G", name: "\u001b]0;x\u0007a\u202eb" }).name, "]0;xab");
});

machines.run();

const limits = suite("the limits of a plan");

limits("come in the order in which growth meets them, and those that it does not meet behind", () => {
  const { request } = describedMachine(MACHINES.laptop);
  const found = limitsOf(request, planWindow(request));
  assert.equal(
    found.map(({ what, at }) => [what, at]),
    [
      ["pool of 2 MiB pages", 2000n * MiB],
      ["RLIMIT_MEMLOCK", 4n * GiB],
      ["dma_entry_limit", null],
      ["RAM up to its highest address", null],
    ],
  );
});

for (let seed = 1; seed <= 40; seed++) {
  limits(`are where one allocation after the other meets them, seed ${seed}`, () => {
    const random = new Random(seed);
    const sizes = [4096n, 1n << 21n, 1n << 30n];
    let base = 0n;
    const lists = Array.from({ length: 1 + random.below(3) }, () => {
      const pageSize = random.pick(sizes);
      const length = pageSize * BigInt(1 + random.below(pageSize === 4096n ? 500 : 6));
      base = ((base + pageSize - 1n) / pageSize) * pageSize;
      const made = list(pageSize, length, base);
      base += length;
      return made;
    });
    const limit = BigInt(random.below(8)) * GiB + BigInt(random.below(500)) * 4096n;
    const mapsAvailable = random.below(600);
    const info = type1({ lockedMemory: { limit, used: 0n, privileged: false }, mapsAvailable });
    const request = { memory: { lists }, info };
    const found = limitsOf(request, planWindow(request));
    // Page by page, the smallest first.
    const pages = lists
      .flatMap(({ length, pageSize }) => Array.from({ length: Number(length / pageSize) }, () => pageSize))
      .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    let [locked, maps] = [0n, 0];
    let atMaps: bigint | null = null;
    for (const page of pages) {
      if (maps === mapsAvailable) atMaps ??= locked;
      locked += page;
      maps++;
    }
    assert.is(found.find(({ what }) => what === "dma_entry_limit")?.at, atMaps, `seed ${seed}`);
    const smallest = pages[0] as bigint;
    const atLock = locked > limit ? limit - (limit % smallest) : null;
    assert.is(found.find(({ what }) => what === "RLIMIT_MEMLOCK")?.at, atLock, `seed ${seed}`);
    const reached = found.map(({ at }) => at).filter((at) => at !== null);
    assert.equal(
      reached,
      [...reached].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0)),
    );
  });
}

limits("have no number of more than 64 bits, whatever the facts say of memory that is mapped, and of RAM", () => {
  const { info } = describedMachine({ platform: "type1", lists: [{ bytes: "4K", pageSize: "4K" }] }).request;
  const few = { ...info, mapsAvailable: 1 } as PlanRequest["info"];
  const lists = [{ base: 0n, length: 1n << 30n, pageSize: 4096n }];
  const mapped = [{ container: 0, bytes: (1n << 64n) - 1n, pages: 1n, maps: 1n }];
  const request: PlanRequest = { memory: { lists, mapped }, info: few, highestRam: (1n << 64n) - 1n };
  for (const one of [request, { ...request, info: { ...few, [CONTAINER]: 0 } as PlanRequest["info"] }]) {
    for (const { what, needed, available, at } of limitsOf(one, planWindow(one)))
      for (const number of [needed, available ?? 0n, at ?? 0n]) assert.ok(number < 1n << 64n, what);
  }
});

limits.run();

const comparing = suite("page sizes side by side");

comparing("are those of the IOMMU, each planned as if it were the only one", () => {
  const { request } = describedMachine(MACHINES.power10);
  const choices = comparePageSizes(request);
  assert.equal(
    choices.map(({ pageSize, plan }) => [pageSize, plan?.pageShift, plan?.tces]),
    [
      [4n * KiB, 12, 1n << 34n],
      [64n * KiB, 16, 1n << 30n],
      [2n * MiB, 21, 1n << 25n],
      [GiB, 30, 1n << 16n],
    ],
  );
});

comparing("say why one cannot be", () => {
  const { request } = describedMachine({
    platform: "powernv",
    growTo: "64T",
    lists: [{ bytes: "1G", pageSize: "64K" }],
    levels: 1,
  });
  const [small, none] = comparePageSizes(request, [4096n, 8192n]);
  assert.is(small?.plan, undefined);
  assert.match(small?.rejected[0]?.reason ?? "", "allocates at most 16 MiB");
  assert.match(none?.rejected[0]?.reason ?? "", "the IOMMU has no pages of that size");
});

/** Pages and lists of type1, whose IOMMU takes all addresses. */
function comparedOf(lists: readonly (readonly [base: bigint, length: bigint])[]) {
  const { info } = describedMachine({ platform: "type1", lists: [{ bytes: "4K", pageSize: "4K" }] }).request;
  const all = lists.map(([base, length]) => ({ base, length, pageSize: 4096n }));
  return comparePageSizes({ memory: { lists: all }, info }).map(({ pageSize, plan, rejected }) => ({
    pageSize,
    memory: plan?.fullGrowth.memoryBytes,
    words: rejected.map(({ reason }) => reason).join(),
  }));
}

comparing("keep lists that lie at the end of the address space within 2^64", () => {
  const END = 1n << 64n;
  for (const lists of [
    [[END - 4096n, 4096n]],
    [
      [END - 8192n, 4096n],
      [END - 4096n, 4096n],
    ],
    // Their order is not that of their addresses.
    [
      [END - 4096n, 4096n],
      [0n, 4096n],
    ],
  ] as const) {
    for (const { pageSize, memory, words } of comparedOf(lists)) {
      assert.is(memory, BigInt(lists.length) * pageSize, `${pageSize}: ${words}`);
    }
  }
});

comparing("say of the pages alone for which lists would be too long that they are", () => {
  for (const lists of [
    [[0n, (1n << 64n) - 4096n]],
    [
      [0n, 1n << 63n],
      [1n << 63n, 4096n],
      [(1n << 63n) + 4096n, (1n << 63n) - 8192n],
    ],
  ] as const) {
    const found = comparedOf(lists);
    assert.ok(found.length > 1);
    for (const { pageSize, memory, words } of found) {
      assert.is(memory, undefined);
      if (pageSize > 4096n) assert.is(words, "in pages of that size the lists do not end by 2^64", `${pageSize}`);
    }
  }
});

comparing("may be larger than any that memory comes in", () => {
  const lists = [{ bytes: "1G", base: 2 ** 40 }];
  const { request } = describedMachine({ platform: "type1", iommuPageSizes: ["4K", "16T"], lists });
  assert.equal(
    comparePageSizes(request).map(({ plan, rejected }) => [plan?.pageShift, rejected.length > 0]),
    [
      [12, false],
      [undefined, true],
    ],
  );
});

comparing.run();

const sizes = suite("a size in a file");

sizes("is what the command line takes", () => {
  for (const [text, bytes] of [
    ["64G", 64n * GiB],
    ["64GiB", 64n * GiB],
    ["0x1000", 4096n],
    ["7", 7n],
    ["1e3", undefined],
    ["", undefined],
    ["-1", undefined],
    ["9".repeat(2000), undefined],
  ] as const) {
    assert.is(bytesIn(text), bytes);
  }
});

sizes.run();
