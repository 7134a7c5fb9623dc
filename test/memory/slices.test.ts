/**
 * POWER's hash MMU: every 256 MiB of address space below 4 GiB, and every TiB above, is a slice with one page size. What
 * would bring another one into it, even in the place of all that is there, is answered with EBUSY
 * (arch/powerpc/mm/book3s64/slice.c: slice_get_unmapped_area).
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import { MapFlag } from "../../src/syscalls.ts";
import { type Passing, Through } from "../../src/through.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { GiB, KiB, MiB, TiB } from "../support/program.ts";

const HUGE = 16n * MiB;

function sliceOf(va: bigint): string {
  return va < 4n * GiB ? `low ${va / (256n * MiB)}` : `high ${va / TiB}`;
}

/** The software kernel behind such an MMU. A program stays in slices that it has used: none becomes free again here. */
class Slices extends Through {
  readonly #shifts = new Map<string, number>();
  /** Where the kernel puts what may lie anywhere: a slice of its own for each page size. */
  readonly #next = new Map<number, bigint>();

  protected override pass<R extends number | bigint>(_call: Passing, make: () => R): R {
    return make();
  }

  override mmap(near: bigint, length: bigint, protection: number, flags: number, hugePageShift: number): bigint {
    const shift = (flags & MapFlag.HUGETLB) === 0 ? 0 : hugePageShift;
    const fixed = (flags & MapFlag.FIXED) !== 0;
    const at = fixed ? near : (this.#next.get(shift) ?? BigInt(this.#next.size + 1) * TiB);
    if ((this.#shifts.get(sliceOf(at)) ?? shift) !== shift) return BigInt(no.EBUSY);
    const answer = this.inner.mmap(at, length, protection, flags, hugePageShift);
    if (answer < 0n) return answer;
    this.#shifts.set(sliceOf(answer), shift);
    if (!fixed) this.#next.set(shift, answer + length);
    return answer;
  }
}

function table() {
  const kernel = new Slices(modelKernel({ pageSize: 65536, hugepages: { 24: 3 } }));
  return { kernel, memory: new MemsegTable({ kernel }) };
}

test("hugepages come into the space of their list, and ordinary memory into its own", () => {
  const { memory } = table();
  const huge = memory.addList({ pageSize: HUGE, maxBytes: 8n * HUGE });
  const small = memory.addList({ pageSize: 64n * KiB, maxBytes: MiB });
  const segments = [memory.allocate(huge, 2), memory.allocate(small, 2), memory.allocate(huge, 1)];
  assert.equal(
    segments.map(({ va }) => va),
    [huge.base, small.base, huge.base + 2n * HUGE],
  );
  assert.is(memory.bytes, 3n * HUGE + 128n * KiB);
});

test("what hugepages leave behind is space that the list still keeps, and they come back to it", () => {
  const { kernel, memory } = table();
  const list = memory.addList({ pageSize: HUGE, maxBytes: 8n * HUGE });
  const segment = memory.allocate(list, 3);
  assert.is(failure("ERR_KERNEL", () => memory.allocate(list, 1)).errno, no.ENOMEM);
  memory.free(segment);
  assert.is(kernel.inner.mmap(list.base, list.length, 0, MapFlag.FIXED_NOREPLACE, 0), BigInt(no.EEXIST));
  assert.is(memory.allocate(list, 3).va, list.base);
});

test.run();
