/** Traces come from elsewhere: whatever is wrong with one is said with the number of its line. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { modelKernel } from "../../src/model/index.ts";
import { thrownName } from "../../src/trace/answers.ts";
import { readTrace, replay, traceLines } from "../../src/trace/index.ts";
import { failure, refusesArgument } from "../support/failure.ts";
import { Random } from "../support/random.ts";
import { RandomProgram } from "./random-program.ts";
import { answering, Tape, traceOf } from "./tape.ts";

const open = { call: "open", path: "/dev/vfio/vfio", answer: "f1" };
const mmap = {
  call: "mmap",
  near: null,
  length: "0x1000",
  protection: "rw",
  flags: [],
  answer: "m1",
};
const map = {
  call: "MAP_DMA",
  fd: "f1",
  argsz: 32,
  flags: 3,
  vaddr: "m1",
  iova: "0x0",
  size: "0x1000",
  answer: 0,
};

const bad = suite("a trace that no recorder wrote");

const wrongCalls: readonly (readonly [object, RegExp])[] = [
  [{ ...open, call: "ope" }, /there is no call "ope"/],
  [{ ...open, call: "toString" }, /there is no call "toString"/],
  [{ ...open, call: "BASE+4294967296" }, /there is no call/],
  [{ ...open, call: 5 }, /there is no call 5/],
  [{ ...open, call: undefined }, /there is no call/],
  [{ ...open, path: 5 }, /"path" must be text/],
  [{ ...open, mode: 1 }, /open has no "mode"/],
  [{ ...open, answer: undefined }, /"answer" must be/],
  [{ ...open, answer: null }, /"answer" must be/],
  [{ ...open, answer: "EFAIL" }, /"answer" must be/],
  [{ ...open, answer: 1.5 }, /"answer" must be/],
  [{ ...open, throws: "ERR_X" }, /"answer" must be/],
  [{ ...open, answer: undefined, throws: 5 }, /"throws" must be text/],
  [{ ...open, out: 5 }, /"out" must be an object/],
  [{ ...mmap, length: 4096 }, /"length" must be a hex number/],
  [{ ...mmap, length: "0x10000000000000000" }, /"length" must be a hex number/],
  [{ ...mmap, length: "4096" }, /"length" must be a hex number/],
  [{ ...mmap, near: "m1-0x1000" }, /"near" must be null, or an address/],
  [{ ...mmap, near: 0 }, /"near" must be null, or an address/],
  [{ ...mmap, protection: "rwx" }, /"protection" must be none, r, w or rw/],
  [{ ...mmap, flags: ["fixed", "shared"] }, /"flags" must be a list of flags/],
  [{ ...mmap, flags: "fixed" }, /"flags" must be a list of flags/],
  [{ ...mmap, at: "x1+0x1000" }, /"at" must be a place/],
  [{ ...map, vaddr: undefined }, /"vaddr" must be an address/],
  [{ ...map, vaddr: "m0" }, /"vaddr" must be an address/],
  [{ ...map, vaddr: "x1+0x1000000000" }, /"vaddr" must be an address/],
  [{ ...map, iova: -1 }, /"iova" must be an address/],
  [{ ...map, argsz: -1 }, /"argsz" must be a whole number/],
  [{ ...map, argsz: 2 ** 32 }, /"argsz" must be a whole number/],
  [{ ...map, fd: "g1" }, /"fd" must be a descriptor/],
  [{ ...map, fd: undefined }, /"fd" must be a descriptor/],
  [{ ...map, rest: "abc" }, /"rest" must be 1 to 256 bytes/],
  [{ ...map, rest: "00".repeat(257) }, /"rest" must be 1 to 256 bytes/],
  [{ ...map, levels: 1 }, /MAP_DMA has no "levels"/],
  [{ ...map, batch: [0, 1] }, /"batch" must be a place and a count/],
  [{ ...map, batch: [2, 1] }, /"batch" must be a place and a count/],
  [{ ...map, batch: 1 }, /"batch" must be a place and a count/],
  [{ ...map, batch: [2, 2] }, /from the first to the last/],
  [{ ...open, batch: [1, 1] }, /a batch is of ioctls with structs/],
  [{ call: "MAP_DMA", fd: "f1", argument: 0, answer: 0, batch: [1, 1] }, /a batch is of ioctls with structs/],
  [{ call: "lockedMemory", used: "0x0", answer: 0 }, /"answer" must be/],
  [{ call: "lockedMemory", used: 5 }, /"used" must be a hex number/],
];

for (const [call, why] of wrongCalls) {
  bad(`is refused at its line: ${JSON.stringify(call)}`, () => {
    const lines = traceOf(open, call);
    const error = failure("ERR_TRACE_MALFORMED", () => replay(lines, modelKernel()));
    assert.match(error.message, /^line 3 of the trace: /);
    assert.match(error.message, why);
    assert.equal(error.facts, { line: 3 });
  });
}

bad("is refused where a batch is left, begun in the middle, or of two lengths", () => {
  const at = (place: number, count: number) => ({ ...map, batch: [place, count] });
  const cases: readonly (readonly [number, readonly object[]])[] = [
    [4, [open, mmap, at(1, 2), open]],
    [4, [open, mmap, at(1, 3), at(3, 3)]],
    [4, [open, mmap, at(1, 3), at(2, 2)]],
    [3, [open, mmap, at(1, 2)]],
  ];
  for (const [line, calls] of cases) {
    const error = failure("ERR_TRACE_MALFORMED", () => [...readTrace(traceOf(...calls)).calls]);
    assert.is(error.facts?.line, line + 1, error.message);
  }
});

bad("is refused where it uses what nothing before it made", () => {
  const cases: readonly object[] = [
    { call: "close", fd: "f1", answer: 0 },
    { call: "munmap", address: "m1", length: "0x1000", answer: 0 },
    { ...mmap, answer: "m1+0x1000" },
    { ...mmap, at: "m7" },
    { call: "GROUP_SET_CONTAINER", fd: 3, container: "f2", answer: 0 },
  ];
  for (const call of cases) {
    const error = failure("ERR_TRACE_MALFORMED", () => replay(traceOf(call), modelKernel()));
    assert.match(error.message, /^line 2 of the trace: nothing before it (made m|opened f)\d/);
  }
});

bad("is refused where a batch is made on two descriptors", () => {
  const calls = [
    { ...map, vaddr: "0x0", batch: [1, 2] },
    { ...map, vaddr: "0x0", fd: 5, batch: [2, 2] },
  ];
  const error = failure("ERR_TRACE_MALFORMED", () => replay(traceOf(open, ...calls), modelKernel()));
  assert.match(error.message, "on one descriptor");
});

bad("is closed up to where it was refused", () => {
  const model = modelKernel();
  failure("ERR_TRACE_MALFORMED", () => replay([...traceOf(open, mmap), "{"], model));
  assert.equal(model.leaks(), []);
  assert.is(model.open("/dev/vfio/vfio"), 3, "its descriptor is free again");
});

bad("is refused where its last line was cut off while it was written, and says so", () => {
  const lines = traceOf(open, mmap);
  const cut = [...lines.slice(0, -1), lines.at(-1)?.slice(0, 30) ?? ""];
  const error = failure("ERR_TRACE_MALFORMED", () => [...readTrace(cut).calls]);
  assert.match(error.message, /^line 3 of the trace: it is no JSON: it is the last one, and was cut off/);
  const inside = failure("ERR_TRACE_MALFORMED", () => [...readTrace([...cut, "{}"]).calls]);
  assert.is(inside.message, "line 3 of the trace: it is no JSON");
});

bad("is refused where a line is JSON but no call", () => {
  for (const text of ["5", "null", "[]", '"open"', ""]) {
    assert.is(failure("ERR_TRACE_MALFORMED", () => [...readTrace([...traceOf(open), text]).calls]).facts?.line, 3);
  }
});

bad("with characters changed at random is replayed or refused, and nothing else happens", () => {
  const tape = new Tape(modelKernel());
  new RandomProgram(tape, new Random(3), ["/dev/vfio/26"]).play(60);
  const { lines } = tape;
  const outcomes = new Map<string, number>();
  for (let seed = 1; seed <= 150; seed++) {
    const random = new Random(seed);
    const at = random.below(lines.length);
    const line = lines[at] ?? "";
    const place = random.below(line.length);
    const text = random.pick(["0", "9", "f", "m", '"', "x1", "-", "", "null", "1e9", "ffffffffffff"]);
    const changed = line.slice(0, place) + text + line.slice(place + random.below(3));
    let outcome = "replayed";
    try {
      replay([...lines.slice(0, at), changed, ...lines.slice(at + 1)], modelKernel());
    } catch (error) {
      outcome = thrownName(error);
    }
    assert.match(outcome, /^(replayed|ERR_TRACE_MALFORMED|ERR_TRACE_VERSION)$/, `seed ${seed}: ${changed}`);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  assert.ok((outcomes.get("replayed") ?? 0) > 5 && (outcomes.get("ERR_TRACE_MALFORMED") ?? 0) > 20);
});

bad.run();

const headers = suite("a header");

headers("is the first line, and there is one", () => {
  assert.match(failure("ERR_TRACE_MALFORMED", () => readTrace([])).message, "line 1 of the trace: there is none");
  for (const text of ["", "hello", "[]", "{}", JSON.stringify(open)]) {
    assert.is(failure("ERR_TRACE_MALFORMED", () => readTrace([text])).facts?.line, 1, text);
  }
});

headers("of a later version is refused as that, and nothing else of it is looked at", () => {
  const error = failure("ERR_TRACE_VERSION", () => readTrace(['{"trace":"dma-window","version":2,"kernel":{}}']));
  assert.equal(error.facts, { line: 1, version: 2 });
  assert.match(error.message, /^line 1 of the trace: it has version 2, and this program reads 1/);
});

headers("is refused where one of its fields cannot be", () => {
  const [header = ""] = traceOf();
  const good = JSON.parse(header);
  assert.is(readTrace([header]).header.pageSize, 4096);
  const changes = [
    { version: 0 },
    { version: "1" },
    { trace: "other" },
    { kernel: 5 },
    { pageSize: 4095 },
    { pageSize: 0 },
    { pageSize: "0x1000" },
    { note: 5 },
    { lockedMemory: undefined },
    { lockedMemory: { limit: 5, used: "0x0", privileged: true } },
    { lockedMemory: { limit: null, used: null, privileged: true } },
    { lockedMemory: { limit: null, used: "0x0", privileged: 1 } },
  ];
  for (const change of changes) {
    const line = JSON.stringify({ ...good, ...change });
    assert.is(failure("ERR_TRACE_MALFORMED", () => readTrace([line])).facts?.line, 1, line);
  }
});

headers.run();

const files = suite("the lines of a file");
const folder = mkdtempSync(join(tmpdir(), "dma-window-"));
const path = join(folder, "trace.jsonl");

function linesOf(text: string | Uint8Array): string[] {
  writeFileSync(path, text);
  return [...traceLines(path)];
}

files("come one by one, the last one with its newline or without", () => {
  assert.equal(linesOf("a\nb\n"), ["a", "b"]);
  assert.equal(linesOf("a\nb"), ["a", "b"]);
  assert.equal(linesOf("a\n\nb\n"), ["a", "", "b"]);
  assert.equal(linesOf(""), []);
  const many = Array.from({ length: 30_000 }, (_, i) => `line ${i} über`);
  assert.equal(linesOf(`${many.join("\n")}\n`), many, "over many reads, and characters of several bytes");
});

files("are refused from a length on that no line has", () => {
  const error = failure("ERR_TRACE_MALFORMED", () => linesOf(`a\n${"b".repeat(1_200_000)}`));
  assert.is(error.facts?.line, 2);
});

files("cannot be read from where there is no file, or a folder", () => {
  for (const nowhere of [join(folder, "none"), folder]) {
    assert.match(failure("ERR_TRACE_UNREADABLE", () => [...traceLines(nowhere)]).message, nowhere);
  }
});

files("are of a path", () => {
  for (const nothing of [0, null, undefined, {}, Symbol("path"), Buffer.from(path)]) {
    assert.match(refusesArgument(() => traceLines(nothing as never)).message, /^path must be a path/);
  }
});

files("leave no file open when somebody stops reading", () => {
  const lowest = () => {
    const fd = openSync(folder, "r");
    closeSync(fd);
    return fd;
  };
  const before = lowest();
  writeFileSync(path, `${traceOf(open, open, open).join("\n")}\n`);
  for (const _ of traceLines(path)) break;
  for (const _ of readTrace(traceLines(path)).calls) break;
  failure("ERR_TRACE_MALFORMED", () => readTrace(traceLines(writeBad())));
  replay(traceLines(path), answering({}));
  assert.is(lowest(), before);
});

function writeBad(): string {
  const bad = join(folder, "bad.jsonl");
  writeFileSync(bad, "{}\n{}\n");
  return bad;
}

files.after(() => rmSync(folder, { recursive: true }));
files.run();
