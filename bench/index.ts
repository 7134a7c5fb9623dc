/**
 * What the library costs on its usual ways, each beside the plain JavaScript that it replaces, in one run. Ratios count:
 * absolute times depend on the machine. Every bench checks its result, so no loop can be thrown away unnoticed.
 *
 *     npm run bench
 */
import { strict as assert } from "node:assert";
import { barplot, bench, run, summary } from "mitata";
import { MemsegTable, modelKernel, openContainer, planWindow } from "../src/index.ts";
import { modelBenches } from "./model.ts";

const SEGMENTS = 4096;
const PAGE = 2n << 20n;

const kernel = modelKernel({ hugepages: { 21: SEGMENTS + 2 } });
const memory = new MemsegTable({ kernel });
const list = memory.addList({ pageSize: PAGE, maxBytes: BigInt(SEGMENTS + 2) * PAGE });
const container = openContainer({ kernel, groups: [26] });
const window = container.createWindow(planWindow({ memory, info: container.info() }));
container.attach(memory);
for (let i = 0; i < SEGMENTS; i++) memory.allocate(list, 1);

const vas = BigUint64Array.from(
  { length: SEGMENTS },
  (_, i) => list.base + BigInt((i * 1021) % SEGMENTS) * PAGE + 0x1000n,
);
const iovas = new BigUint64Array(SEGMENTS);
const byPage = new Map<bigint, bigint>();
for (const { va, iova, length } of window.maps()) {
  for (let at = 0n; at < length; at += PAGE) byPage.set(va + at, iova + at);
}

/** What a program does without a table of its own: a Map by page, and masks on bigints. */
function translateWithMap(from: BigUint64Array, to: BigUint64Array): number {
  let found = 0;
  for (let i = 0; i < from.length; i++) {
    const va = from[i] as bigint;
    const page = byPage.get(va & ~(PAGE - 1n));
    to[i] = page === undefined ? 0xffff_ffff_ffff_ffffn : page + (va & (PAGE - 1n));
    if (page !== undefined) found++;
  }
  return found;
}

barplot(() => {
  summary(() => {
    bench(`translate ${SEGMENTS} addresses: translateInto`, () => {
      assert.equal(window.translateInto(vas, iovas), SEGMENTS);
    });
    bench(`translate ${SEGMENTS} addresses: a Map of bigints`, () => {
      assert.equal(translateWithMap(vas, iovas), SEGMENTS);
    });
  });
});

const one = vas[7] as bigint;
const there = window.iovaOf(one);
bench("translate one address", () => {
  assert.equal(window.translate(one), there);
});

bench("allocate and free a hugepage, mapped and unmapped on the model", () => {
  memory.free(memory.allocate(list, 1));
});

const outside = kernel.mmap(0n, 1n << 20n, 3, 4, 0);
const requests = Array.from({ length: 16 }, (_, i) => ({ va: outside + (BigInt(i) << 16n), length: 1n << 16n }));
const small = container.createWindow(planWindow({ memory: { lists: [] }, info: container.info(), growTo: 1n << 26n }));
bench("map and unmap 16 ranges of 64 KiB, one batch each way, on the model", () => {
  const placed = small.mapMany(requests);
  small.unmapMany(placed.map((iova) => ({ iova, length: 1n << 16n })));
});

modelBenches();

await run();
container.close();
memory.close();
