import { suite } from "uvu";
import * as assert from "uvu/assert";
import { planWindow, type WindowPlan } from "../../src/plan/index.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { GiB, KiB, list, MiB, planFor, powernv, TiB } from "./facts.ts";

const info = powernv({ cpuPageSize: 4096 });

const rebased = suite("how large a window is, rebased");

rebased("one list: as large as the list can become, rounded up to a power of two", () => {
  const plan = planWindow({ memory: { lists: [list(2n * MiB, 6n * MiB, 1n << 45n)] }, info });
  assert.is(plan.needed, 6n * MiB);
  assert.is(plan.size, 8n * MiB);
  assert.is(plan.tces, 4n);
});

rebased("several lists stand one behind the other, each at a multiple of its page size", () => {
  const lists = [list(4n * KiB, 4n * KiB), list(2n * MiB, 2n * MiB, GiB), list(64n * KiB, 64n * KiB, TiB)];
  const plan = planWindow({ memory: { lists }, info });
  assert.is(plan.needed, 4n * MiB + 64n * KiB);
  assert.is(plan.size, 8n * MiB);
});

rebased("the page is the largest that every list allows", () => {
  const of = (...pageSizes: bigint[]) =>
    planWindow({ memory: { lists: pageSizes.map((pageSize, i) => list(pageSize, GiB, BigInt(i) * GiB)) }, info })
      .pageShift;
  assert.is(of(GiB, GiB), 30);
  assert.is(of(GiB, 2n * MiB), 21);
  assert.is(of(2n * MiB, GiB, 64n * KiB), 16);
  assert.is(of(2n * MiB, 4n * KiB, 64n * KiB), 12);
  // 16 MiB and 512 MiB pages are hugepages that this IOMMU has no page for: the next smaller one serves.
  assert.is(of(16n * MiB, 512n * MiB), 21);
});

rebased("growTo smaller than the lists changes nothing; growTo larger makes the window larger", () => {
  const memory = { lists: [list(2n * MiB, 6n * MiB)] };
  assert.is(planWindow({ memory, info, growTo: 1n }).needed, 6n * MiB);
  assert.is(planWindow({ memory, info, growTo: 6n * MiB }).needed, 6n * MiB);
  const larger = planWindow({ memory, info, growTo: 6n * MiB + 1n });
  assert.equal([larger.needed, larger.size], [6n * MiB + 1n, 8n * MiB]);
  assert.is(planWindow({ memory, info, growTo: 64n * GiB }).size, 64n * GiB);
});

rebased("a need of exactly 2^n is a window of 2^n, and one byte more is 2^(n+1)", () => {
  for (const n of [12, 13, 20, 31, 32, 33, 39, 40]) {
    const size = 1n << BigInt(n);
    const plan = (bytes: bigint) => planFor(4n * KiB, bytes, powernv({ cpuPageSize: 4096, pageSizes: 0x1000n }));
    assert.is(plan(size).size, size, `2^${n}`);
    assert.is(plan(size).dmaMaskBits, n);
    assert.is(plan(size + 1n).size, 2n * size, `2^${n} + 1`);
    if (n > 12) assert.is(plan(size - 1n).size, size, `2^${n} - 1`);
  }
});

rebased("a window is never smaller than one of its pages", () => {
  const plan = planFor(2n * MiB, 1n, info);
  assert.equal([plan.size, plan.tces], [2n * MiB, 1n]);
});

rebased("external memory is passed over, unless it is a heap", () => {
  const mine = list(4n * KiB, MiB);
  const external = { ...list(4n * KiB, GiB, GiB), external: true };
  assert.is(planWindow({ memory: { lists: [mine, external] }, info }).needed, MiB);
  assert.is(planWindow({ memory: { lists: [mine, { ...external, heap: true }] }, info }).needed, MiB + GiB);
  // Its page size does not count either.
  const large = { lists: [list(2n * MiB, 2n * MiB), { ...external, pageSize: 4n * KiB }] };
  assert.is(planWindow({ memory: large, info }).pageShift, 21);
});

rebased.run();

const addresses = suite("how large a window is, with addresses as IOVAs");

addresses("va: as far as the highest end of a list", () => {
  const lists = [list(2n * MiB, GiB, 64n * GiB), list(2n * MiB, GiB, 3n * GiB)];
  const plan = planWindow({ iovaMode: "va", memory: { lists }, info });
  assert.is(plan.needed, 65n * GiB);
  assert.is(plan.size, 128n * GiB);
  assert.is(plan.start, 0n);
});

addresses("va: growTo is an end of the addresses, and counts when it is higher", () => {
  const memory = { lists: [list(2n * MiB, GiB, 64n * GiB)] };
  assert.is(planWindow({ iovaMode: "va", memory, info, growTo: GiB }).needed, 65n * GiB);
  assert.is(planWindow({ iovaMode: "va", memory, info, growTo: TiB }).size, TiB);
});

addresses("pa: as far as the highest RAM, or as growTo says, also when that is less", () => {
  const memory = { lists: [list(2n * MiB, GiB)] };
  const request = { iovaMode: "pa" as const, memory, info };
  assert.is(planWindow({ ...request, highestRam: 0x207fffffffn }).size, 256n * GiB);
  assert.is(planWindow({ ...request, highestRam: 0x1fffffffffn }).size, 128n * GiB);
  assert.is(planWindow({ ...request, highestRam: 0x2000000000n }).size, 256n * GiB);
  assert.is(planWindow({ ...request, highestRam: 0x207fffffffn, growTo: 64n * GiB }).size, 64n * GiB);
  assert.is(planWindow({ ...request, growTo: TiB }).size, TiB);
  assert.is(planWindow({ ...request, highestRam: 0n }).needed, 1n);
});

addresses("pa without the highest RAM and without growTo is a mistake of the caller", () => {
  const error = thrownBy(() => planWindow({ iovaMode: "pa", memory: { lists: [list(4n * KiB, GiB)] }, info }));
  assert.is(error.code, "ERR_INVALID_ARG_TYPE");
  assert.match(error.message, "readIomem().highest");
});

addresses("a virtual address near 2^47 makes a window of 2^47, and says what that costs", () => {
  const memory = { lists: [list(64n * KiB, GiB, 0x7fff_0000_0000n)] };
  const wide = powernv({ pageSizes: 1n << 16n });
  const plan = planWindow({ iovaMode: "va", memory, info: wide });
  assert.is(plan.size, 1n << 47n);
  assert.is(plan.chargeBytes, 32n * GiB + MiB);
});

addresses.run();

const edges = suite("the edges of 64 bits");

/** 1 TiB pages: few enough TCEs for any window. */
const huge = powernv({ pageSizes: 1n << 40n, cpuPageSize: 4096 });
const huges = (...lengths: bigint[]) => {
  let base = 0n;
  return lengths.map((length) => {
    const one = list(1n << 40n, length, base);
    base += length;
    return one;
  });
};

function impossible(run: () => WindowPlan): string {
  return failure("ERR_PLAN_IMPOSSIBLE", run).message;
}

edges("lists of 2^63 bytes need a window that no table reaches", () => {
  const message = impossible(() => planWindow({ memory: { lists: huges(1n << 63n) }, info: huge }));
  assert.match(message, "no window can hold 8 EiB");
  assert.match(message, "= 63 bits; PowerNV takes less than 55");
});

edges("lists of 2^64 bytes need a window whose size has no 64 bits", () => {
  const lists = huges(1n << 63n, 1n << 63n);
  const message = impossible(() => planWindow({ memory: { lists }, info: huge }));
  assert.match(message, "the window would be 2^64 bytes; a size has 64 bits");
});

edges("one byte more than 2^63 needs 2^64", () => {
  const message = impossible(() => planFor(1n << 40n, (1n << 63n) + 1n, huge));
  assert.match(message, "2^64");
  assert.match(
    impossible(() => planFor(1n << 40n, (1n << 64n) - 1n, huge)),
    "2^64",
  );
});

edges("lists that hold more than 2^64 bytes together are told so", () => {
  const lists = [...huges(1n << 63n), ...huges(1n << 63n), ...huges(1n << 40n)];
  const error = failure("ERR_MEMORY_TOO_LARGE", () => planWindow({ memory: { lists }, info: huge }));
  assert.match(error.message, String((1n << 64n) + (1n << 40n)));
});

edges("more pages than can be kept track of are refused with both numbers", () => {
  const tiny = powernv({ pageSizes: 0x1000n, cpuPageSize: 4096 });
  const message = impossible(() => planFor(4n * KiB, 1n << 49n, tiny));
  assert.match(message, `${1n << 37n} pages; at most ${1n << 36n} can be kept track of`);
});

edges.run();

const nothing = suite("nothing to map");

nothing("no lists and no growTo", () => {
  for (const iovaMode of ["rebased", "va"] as const) {
    failure("ERR_NOTHING_TO_MAP", () => planWindow({ iovaMode, memory: { lists: [] }, info }));
  }
});

nothing("only memory that its owner maps", () => {
  const lists = [{ ...list(4n * KiB, GiB), external: true }];
  failure("ERR_NOTHING_TO_MAP", () => planWindow({ memory: { lists }, info }));
});

nothing("growTo of 0 bytes", () => {
  failure("ERR_NOTHING_TO_MAP", () => planWindow({ memory: { lists: [list(4n * KiB, GiB)] }, info, growTo: 0n }));
});

nothing(
  "no lists, and growTo: pages no larger than the CPU's, because nothing says that memory comes in larger ones",
  () => {
    const plan = planWindow({ memory: { lists: [] }, info: powernv(), growTo: 64n * GiB });
    assert.is(plan.pageShift, 16);
    assert.match(plan.rejected[0]?.reason ?? "", "larger than the CPU's 64 KiB");
  },
);

nothing.run();
