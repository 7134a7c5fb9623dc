/** What full growth takes, and a warning for each thing that will not suffice: exactly where it begins not to. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { HugepageFacts } from "../../src/iommu.ts";
import { type PlanRequest, planWindow } from "../../src/plan/index.ts";
import { GiB, KiB, list, MiB, powernv, pseries, TiB, type1, unlimited } from "./facts.ts";

const limited = (limit: bigint, used = 0n) => ({ limit, used, privileged: false });

const grown = (request: PlanRequest) => planWindow(request).fullGrowth;
const warnings = (request: PlanRequest) => planWindow(request).warnings;

test("memory is what the lists can hold, or growTo where that is more; as an address growTo says nothing of an amount", () => {
  const lists = [list(2n * MiB, GiB), list(4n * KiB, MiB, TiB), { ...list(4n * KiB, MiB), external: true }];
  assert.is(grown({ memory: { lists }, info: type1() }).memoryBytes, GiB + MiB);
  assert.is(grown({ memory: { lists }, info: type1(), growTo: 64n * GiB }).memoryBytes, 64n * GiB);
  assert.is(grown({ memory: { lists }, info: type1(), growTo: MiB }).memoryBytes, GiB + MiB);
  assert.is(grown({ memory: { lists }, info: type1(), iovaMode: "va", growTo: 64n * TiB }).memoryBytes, GiB + MiB);
  assert.is(grown({ memory: { lists: [], bytes: MiB }, info: type1(), growTo: GiB }).memoryBytes, GiB);
  const none = { memory: { lists: [], bytes: MiB }, info: type1({ lockedMemory: limited(GiB) }), growTo: 64n * TiB };
  for (const iovaMode of ["va", "pa"] as const) {
    assert.equal([grown({ ...none, iovaMode }).memoryBytes, warnings({ ...none, iovaMode })], [MiB, []]);
  }
});

test("tables and memory are locked: exactly at the limit nothing is said, one byte less is a warning with all numbers", () => {
  const lists = [list(64n * KiB, 64n * GiB)];
  for (const [info, tables] of [
    [powernv, 16n * MiB],
    [pseries, 8n * MiB],
  ] as const) {
    const with_ = (limit: bigint) => ({
      memory: { lists },
      info: info({ pageSizes: 1n << 16n, lockedMemory: limited(limit, MiB) }),
    });
    const enough = with_(64n * GiB + tables + MiB);
    assert.equal(grown(enough).lockedBytes, 64n * GiB + tables);
    assert.equal([grown(enough).lockable, warnings(enough)], [64n * GiB + tables, []]);
    const [warning] = warnings(with_(64n * GiB + tables + MiB - 1n));
    assert.match(warning ?? "", "1 MiB used, and full growth locks");
    assert.match(warning ?? "", `(${tables / MiB} MiB of tables, 64 GiB of memory)`);
    assert.match(warning ?? "", `maps fail from ${64n * 1024n * 1024n * KiB - 64n * KiB} bytes of memory on`);
    assert.match(warning ?? "", `(ulimit -l ${64n * 1024n * 1024n + (tables + MiB) / KiB})`);
  }
});

test("where not one page can be mapped, that is said", () => {
  const info = type1({ lockedMemory: limited(64n * KiB) });
  const [warning] = warnings({ memory: { lists: [list(2n * MiB, GiB)] }, info, growTo: 16n * GiB });
  assert.match(warning ?? "", "RLIMIT_MEMLOCK is 64 KiB, 0 bytes used, and full growth locks 16 GiB more");
  assert.match(
    warning ?? "",
    "no page of 2 MiB can be mapped. The limit keeps one user from locking all of the machine's memory: raise it to 16 GiB (ulimit -l 16777216)",
  );
});

test("with CAP_IPC_LOCK, or without a limit, nothing is said of it", () => {
  for (const lockedMemory of [unlimited, { limit: 0n, used: MiB, privileged: true }]) {
    const request = { memory: { lists: [list(2n * MiB, TiB)] }, info: type1({ lockedMemory }) };
    assert.equal([grown(request).lockable, warnings(request)], [null, []]);
  }
});

test("more used than the limit leaves nothing", () => {
  const info = type1({ lockedMemory: limited(MiB, 2n * MiB) });
  const request = { memory: { lists: [list(2n * MiB, GiB)] }, info };
  assert.is(grown(request).lockable, 0n);
  assert.match(warnings(request)[0] ?? "", "no page of 2 MiB can be mapped");
});

test("maps: one for each page at worst, against what the kernel takes", () => {
  const request = (mapsAvailable: number, growTo?: bigint): PlanRequest => ({
    memory: { lists: [list(4n * KiB, MiB), list(2n * MiB, 4n * MiB, TiB)] },
    info: type1({ mapsAvailable }),
    ...(growTo === undefined ? {} : { growTo }),
  });
  assert.equal([grown(request(258)).maps, grown(request(258)).mapsAvailable, warnings(request(258))], [258n, 258, []]);
  const [warning] = warnings(request(257));
  assert.match(
    warning ?? "",
    "258 maps if pages are allocated one by one, and the kernel takes 257 more (dma_entry_limit",
  );
  assert.match(warning ?? "", "Allocate 20 KiB or more at a time");
  // What will come besides is counted in the smallest pages.
  assert.is(grown(request(258, 8n * MiB)).maps, 258n + 768n);
  assert.match(warnings(request(0))[0] ?? "", "no map will succeed");
  const unknown = planWindow({ memory: { lists: [list(4n * KiB, TiB)] }, info: type1() });
  assert.equal([unknown.fullGrowth.mapsAvailable, unknown.warnings], [null, []]);
});

const pool = (available: number, more: Partial<HugepageFacts> = {}): HugepageFacts => ({
  pageSize: 2n * MiB,
  total: 100,
  available,
  ...more,
});

const ofPools = (hugepages: readonly HugepageFacts[], bytes?: bigint): PlanRequest => ({
  memory: { lists: [list(4n * KiB, GiB), list(2n * MiB, 64n * MiB, TiB)], ...(bytes === undefined ? {} : { bytes }) },
  info: type1({ hugepages }),
});

test("hugepages: exactly enough is enough; one fewer is a warning that says where it ends and what to write", () => {
  assert.equal(grown(ofPools([pool(32)])).hugepages, [{ pageSize: 2n * MiB, needed: 32n, available: 32n }]);
  assert.equal(warnings(ofPools([pool(32)])), []);
  const [warning, more] = warnings(ofPools([pool(31)]));
  assert.is(more, undefined);
  assert.match(warning ?? "", "the lists of 2 MiB pages hold 32 pages in full growth, and the pool has 31 more of 100");
  assert.match(
    warning ?? "",
    "allocate fails from 62 MiB on. Write 101 to /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages",
  );
});

test("hugepages that the memory has already are not asked of the pool again", () => {
  assert.equal(warnings(ofPools([pool(30)], 4n * MiB)), []);
  assert.is(warnings(ofPools([pool(29)], 4n * MiB)).length, 1);
  assert.is(grown(ofPools([pool(0)], TiB)).hugepages[0]?.available, 32n);
});

test("a hugetlb cgroup and a pool that both do not suffice are both named, each with its cure", () => {
  const pool = { pageSize: 2n * MiB, total: 100, available: 40, allowedBytes: 60n * MiB };
  const info = type1({ hugepages: [pool] });
  const of = (pages: bigint, there: bigint) =>
    warnings({ memory: { lists: [list(2n * MiB, pages * 2n * MiB)], bytes: there * 2n * MiB }, info })[0] ?? "";
  assert.match(of(50n, 0n), "the hugetlb cgroup allows 30 more, 60 MiB, and the pool has 40 more of 100");
  assert.match(of(50n, 0n), "raise it, and write 110 to /sys");
  assert.match(of(50n, 5n), "raise it, and write 105 to /sys");
  // With so many there already, the pool has enough.
  assert.match(of(50n, 10n), "allocate fails from 80 MiB on");
  assert.is(of(50n, 20n), "");
});

test("a hugetlb cgroup that allows less than the pool has is what ends it", () => {
  assert.equal(warnings(ofPools([pool(64, { allowedBytes: 64n * MiB })])), []);
  const [warning] = warnings(ofPools([pool(64, { allowedBytes: 63n * MiB })]));
  assert.match(warning ?? "", "the hugetlb cgroup allows 31 more, 63 MiB: allocate fails from 62 MiB on");
});

test("a size without a pool, where others have one, is said to have none; where nothing is known nothing is said", () => {
  const [warning] = warnings(ofPools([pool(1, { pageSize: GiB })]));
  assert.match(warning ?? "", "the kernel has no pool of that size: 0 can be allocated");
  const unknown = planWindow({ memory: { lists: [list(2n * MiB, TiB)] }, info: type1() });
  assert.equal([unknown.fullGrowth.hugepages[0]?.available, unknown.warnings], [null, []]);
});

test("pages of the CPU, and the program's own memory, come from no pool", () => {
  const lists = [list(4n * KiB, GiB), { ...list(2n * MiB, GiB, TiB), external: true, heap: true }];
  assert.equal(grown({ memory: { lists }, info: type1({ hugepages: [] }) }).hugepages, []);
  const info = powernv({ hugepages: [] });
  assert.equal(grown({ memory: { lists: [list(64n * KiB, GiB)] }, info }).hugepages, []);
});

test.run();
