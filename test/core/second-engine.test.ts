/**
 * The core in a second engine, wabt's: each build is valid with the features that it needs and without all others, and its
 * kernels answer in an interpreter as they do in V8, which the other tests hold against the twins.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Core, instantiateCore, Status } from "../../src/core.ts";
import type { MemsegTwin } from "../reference/memsegs.ts";
import { Batches, WORDS } from "../support/batches.ts";
import { ALIGN_SHIFTS, LARGE, LENGTHS, questionSpans } from "../support/bitmap-cases.ts";
import { checkCases } from "../support/check-cases.ts";
import { type Build, coreFile } from "../support/core-files.ts";
import { Recording } from "../support/recorded-core.ts";
import { bytes, PAGE_SHIFT, pagesOf, TceMap, VA } from "../support/tce-map.ts";
import { inWindow, type Place, stated, type Tables, translateCases } from "../support/translate-cases.ts";
import { crossMemsegs, crossWindow } from "../support/translate-core.ts";
import { extended, type Feature, interpret, isValid } from "../support/wabt.ts";
import { listKinds, playWalks } from "../support/walk-cases.ts";
import { show } from "./support.ts";

const test = suite("the core in a second engine");

const needs: Readonly<Record<Build, readonly Feature[]>> = {
  core: ["bulk-memory", "simd"],
  "core.scalar": ["bulk-memory"],
  "core.asserts": ["bulk-memory", "simd"],
};

for (const [build, features] of Object.entries(needs) as [Build, readonly Feature[]][]) {
  test(`is valid with ${features.join(" and ")}, and not with less (${build})`, () => {
    const wasm = coreFile(build);
    assert.ok(isValid(wasm, features), "with all that it needs");
    for (const feature of features) {
      const others = features.filter((each) => each !== feature);
      assert.not.ok(isValid(wasm, others), `without ${feature}`);
    }
  });
}

test("can see what is not valid", () => {
  const wasm = coreFile("core");
  assert.not.ok(isValid(wasm.subarray(0, wasm.length - 1), needs.core));
});

/** Windows of few enough TCEs that an interpreter is done with their bitmaps soon. */
function check(core: Core): number {
  const container = core.containerOpen(12, 7);
  const block = core.acquireBytes(WORDS * 8);
  const batches = new Batches();
  const at = (word: number): number => block + word * 8;
  const few = checkCases().filter(({ window: { size, pageShift } }) => size >> BigInt(pageShift) <= 1n << 24n);
  for (const rows of few.filter((_, index) => index % 17 === 0)) {
    const { start, size, pageShift } = rows.window;
    const window = core.windowOpen(container, start, size, pageShift);
    batches.cross(
      core.u64(block, WORDS),
      ([iovas = 0, lengths = 0], indexes, count) =>
        core.windowCheckMany(window, at(iovas), at(lengths), at(indexes), count),
      rows,
      () => show(rows.window),
    );
    assert.is(core.windowClose(window), Status.OK);
  }
  return batches.cases;
}

/** Tables that reach as far as 2^42, asked for addresses everywhere. */
function translate(
  core: Core,
  place: Place,
  pageShift: number,
  cross: (batches: Batches, core: Core, tables: Tables) => void,
): number {
  const batches = new Batches();
  const all = translateCases(place)().find((each) => each.pageShift === pageShift) as Tables;
  const third = all.tables.length / 3;
  cross(batches, core, { ...all, tables: all.tables.slice(third, third + 5) });
  return batches.cases;
}

function walks(core: Core): number {
  const table = core.tableOpen();
  for (const { base, length, pageShift, flags } of listKinds[0] as (typeof listKinds)[number])
    core.listAdd(table, base, length, pageShift, flags);
  // Four GiB in one memseg are 2048 entries to write, which only V8 does soon.
  const huge = (va: bigint): boolean => va === 1n << 61n;
  let cases = 0;
  playWalks(
    {
      add: ({ list, va, iova, length }: MemsegTwin) => {
        if (!huge(va)) assert.is(core.memsegAdd(table, list, va, iova, length), Status.OK);
      },
      remove: (va) => {
        if (!huge(va)) assert.is(core.memsegRemove(table, va), Status.OK);
      },
      ask: (looked) => {
        cases += looked;
        core.walkHighestMemseg(table);
        for (const found of [core.walkLast, core.walkPageShift]) found();
        for (const counted of [core.memsegCount, core.memsegBytes, core.knownCount, core.knownBytes]) counted(table);
      },
    },
    13,
  );
  return cases;
}

function scans(core: Core): number {
  const map = new TceMap(core, LARGE);
  const spans = questionSpans().map(pagesOf);
  let cases = 0;
  for (const span of spans.filter((_, index) => index % 37 === 0)) {
    map.reserve(span);
    map.aim(VA, 0);
    for (const asked of spans.filter((_, index) => index % 29 === 0)) {
      for (const owner of [0, 1]) map.prepareMap(asked, owner);
      cases += 2;
    }
    core.windowLargestHole(map.window);
    for (const length of LENGTHS) {
      for (const shift of ALIGN_SHIFTS) core.windowFirstFit(map.window, bytes(length), PAGE_SHIFT + shift);
      cases += ALIGN_SHIFTS.length;
    }
    map.unreserve(span);
  }
  map.close();
  return cases;
}

for (const build of ["core", "core.scalar"] as const) {
  test(`answers in an interpreter as in V8 (${build})`, () => {
    const wasm = coreFile(build);
    const recording = new Recording(instantiateCore(wasm));
    const cases: number[] = [];
    recording.stage("check", (core) => cases.push(check(core)));
    recording.stage("translate", (core) => cases.push(translate(core, inWindow, 12, crossWindow)));
    recording.stage("memsegs", (core) => cases.push(translate(core, stated, 16, crossMemsegs)));
    recording.stage("walks", (core) => cases.push(walks(core)));
    recording.stage("scans", (core) => cases.push(scans(core)));
    assert.equal(
      cases.filter((count) => count < 1000),
      [],
      cases.join(),
    );
    const again = extended(wasm, (indexOf) => recording.text(indexOf));
    const inV8 = new WebAssembly.Instance(new WebAssembly.Module(again), {}).exports.run as () => bigint[];
    const hashes = Object.values(recording.hashes).map(show);
    assert.equal(
      inV8().map((hash) => show(BigInt.asUintN(64, hash))),
      hashes,
      "made again in V8",
    );
    assert.equal(interpret(again, "run").map(show), hashes, `in the interpreter: ${Object.keys(recording.hashes)}`);
  });
}

test.run();
