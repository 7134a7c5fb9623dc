/** What a window says of itself, in every way in which it can be asked, beside what was done. */
import * as assert from "uvu/assert";
import { DmaWindowError, type MappedRun, type Window } from "../../../src/index.ts";
import type { Session } from "./library-session.ts";

/** What is nowhere: the answer of `translateInto` for an address that is not mapped. */
const NOWHERE = 0xffff_ffff_ffff_ffffn;

/** Fails unless exactly `done` is mapped, in whatever order, and in whatever pieces. */
export function says(window: Window, done: readonly MappedRun[]): void {
  const runs = joined(done);
  assert.equal([...window.maps()], runs, "maps()");
  const bytes = runs.reduce((sum, { length }) => sum + length, 0n);
  assert.is(window.liveBytes, bytes, "liveBytes");
  for (const { va, iova, length } of runs) {
    for (const offset of [0n, 1n, length - 1n]) {
      assert.is(window.iovaOf(va + offset), iova + offset, "iovaOf");
      assert.is(window.translate(va + offset), iova + offset, "translate");
      assert.is(window.vaOf(iova + offset), va + offset, "vaOf");
    }
  }
  saysPages(window, runs);
}

/** Every page, in bulk, and between the pages one address that is mapped nowhere. */
function saysPages(window: Window, runs: readonly MappedRun[]): void {
  const page = 1n << BigInt(window.pageShift);
  const vas: bigint[] = [];
  const expected: bigint[] = [];
  for (const { va, iova, length } of runs) {
    for (let offset = 0n; offset < length; offset += page) {
      vas.push(va + offset + 9n, 9n);
      expected.push(iova + offset + 9n, NOWHERE);
    }
  }
  const iovas = new BigUint64Array(vas.length);
  assert.is(window.translateInto(BigUint64Array.from(vas), iovas), vas.length / 2, "how many translateInto finds");
  assert.equal([...iovas], expected, "translateInto");
}

/** The same pages as few runs, by IOVA. */
function joined(done: readonly MappedRun[]): MappedRun[] {
  const runs: { va: bigint; iova: bigint; length: bigint }[] = [];
  for (const { va, iova, length } of [...done].sort((a, b) => (a.iova < b.iova ? -1 : 1))) {
    const before = runs.at(-1);
    if (before && before.iova + before.length === iova && before.va + before.length === va) before.length += length;
    else runs.push({ va, iova, length });
  }
  return runs;
}

/** The longest run of a window's IOVAs of which nothing is in `taken`: what `largestHole` has to be. */
export function longestFree({ start, size }: Window, taken: readonly Pick<MappedRun, "iova" | "length">[]): bigint {
  let longest = 0n;
  let at = start;
  const end = { iova: start + size, length: 0n };
  for (const { iova, length } of [...taken].sort((a, b) => (a.iova < b.iova ? -1 : 1)).concat(end)) {
    if (iova - at > longest) longest = iova - at;
    if (iova + length > at) at = iova + length;
  }
  return longest;
}

/** What `run` throws. Fails when it throws nothing, or with another code; ours have to leave nothing behind. */
export function refused(code: string, run: () => unknown): DmaWindowError {
  try {
    run();
  } catch (error) {
    assert.is((error as { code?: unknown }).code, code, String((error as Error).stack));
    if (error instanceof DmaWindowError) assert.is(error.residue, undefined, "left behind");
    return error as DmaWindowError;
  }
  throw new Error(`nothing was thrown; ${code} was expected`);
}

/** Fails unless `run` is refused without a question to the kernel. */
export function refusedUnasked(session: Session, code: string, run: () => unknown): void {
  const calls = session.kernel.calls;
  refused(code, run);
  assert.is(session.kernel.calls, calls, `${code}: calls of the kernel`);
}
