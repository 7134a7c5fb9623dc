/**
 * Bytes of garbage for each question of a window and a table, as JSON, by the kind of the question: once the code is
 * compiled. Run with --expose-gc and --no-concurrent-recompilation, and alone.
 */
import { openContainer } from "../../src/container/open.ts";
import { NO_ADDRESS } from "../../src/core.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { BATCH_ENTRY_BYTES } from "../../src/syscalls.ts";
import { type Passing, Through } from "../../src/through.ts";
import { measure, ROUND, rounds } from "../support/garbage.ts";
import { GiB, MiB, Program } from "../support/program.ts";

const PAGE = 4096n;

const program = new Program({ platform: "pseries" });
const window = program.window(4n * GiB);
const memory = new MemsegTable();
const list = memory.addList({ pageSize: PAGE, maxBytes: MiB, base: GiB });
memory.add(list, { va: GiB, length: MiB / 2n, iova: 2n * GiB });
const va = program.allocate(64n * PAGE);
window.map({ va, length: 32n * PAGE });

// Half of them are there, and half are not.
const vas = Float64Array.from({ length: 64 }, (_, i) => Number(va) + i * 4096);
const iovas = Float64Array.from({ length: 64 }, (_, i) => 2 ** 59 + (i - 32) * 4096);
const own = Float64Array.from({ length: 64 }, (_, i) => Number(GiB) + i * 16384);
const large = Array.from(iovas, BigInt);
const largeVas = Array.from(vas, BigInt);

const questions: Record<string, (at: number) => boolean> = {
  contains: (at) => window.contains(iovas[at] as number, 65536),
  tceIndex: (at) => window.tceIndex(iovas[at] as number) === 5,
  translate: (at) => window.translate(vas[at] as number) === 2 ** 59,
  "table.translate": (at) => memory.translate(own[at] as number) === 2 ** 31,
};
const withBigints: Record<string, (at: number) => boolean> = {
  "tceIndex, bigint": (at) => window.tceIndex(large[at] as bigint) === 5n,
  "translate, bigint": (at) => window.translate(largeVas[at] as bigint) === 1n << 59n,
};

/** A kernel that says yes to a whole batch at once, and leaves no garbage itself. */
class Yes extends Through {
  #words: Int32Array = new Int32Array(0);

  protected pass<R extends number | bigint>(_call: Passing, make: () => R): R {
    return make();
  }

  override ioctlBatch(_fd: number, batch: Uint8Array, table: number, count: number): number {
    if (this.#words.length === 0) this.#words = new Int32Array(batch.buffer);
    for (let i = 0; i < count; i++) this.#words[(table + i * BATCH_ENTRY_BYTES + 8) / 4] = 0;
    return count;
  }
}

/** Maps as many pages as a round has questions, and unmaps them. */
function batches(): () => number {
  const container = openContainer({ kernel: new Yes(modelKernel({ platform: "type1" })), groups: [26] });
  const plan = planWindow({ memory: { lists: [] }, info: container.info(), growTo: GiB });
  const other = container.createWindow(plan);
  const rows = other.requests(ROUND);
  for (let i = 0; i < ROUND; i++) rows.vas[i] = BigInt(2 * i) << BigInt(other.pageShift);
  rows.lengths.fill(1n << BigInt(other.pageShift));
  return () => {
    rows.iovas.fill(NO_ADDRESS);
    other.mapInto(rows.vas, rows.lengths, rows.iovas, rows.permissions);
    other.unmapFrom(rows.iovas, rows.lengths, rows.vas);
    return rows.iovas.length;
  };
}

const result: Record<string, number> = {};
for (const [name, question] of Object.entries(questions)) result[name] = measure(rounds((i) => question(i & 63)));

const rows = window.requests(ROUND);
rows.vas.fill(va);
rows.iovas.fill(window.start);
rows.lengths.fill(PAGE);
result["checkInto, for each row"] = measure(() => window.checkInto(rows.iovas, rows.lengths, rows.indexes));
result["translateInto, for each row"] = measure(() => window.translateInto(rows.vas, rows.iovas));
result["mapInto and unmapFrom, for each row"] = measure(batches(), 200);
for (const [name, question] of Object.entries(withBigints)) result[name] = measure(rounds((i) => question(i & 63)));
console.log(JSON.stringify(result));
