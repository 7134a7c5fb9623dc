import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { parseCommandLine, type ReplayLine } from "../../src/cli/options.ts";
import { replayCommand } from "../../src/cli/replay.ts";
import { TraceFile } from "../../src/cli/trace-file.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { Tape } from "../trace/tape.ts";
import { dmaWindow, WITHOUT_SHIM } from "./command.ts";

const folder = mkdtempSync(join(tmpdir(), "dma-window-"));
const file = join(folder, "trace.jsonl");
const GiB = 1n << 30n;

/** A small program's trace, in `file`. */
function record(options: ModelOptions = {}, paths = ["/dev/vfio/26"]): Tape {
  const tape = new Tape(modelKernel(options)).start(paths);
  tape.struct(tape.container, 12, [32]);
  const va = tape.mmap(2);
  tape.register(va, 8192n);
  tape.create(12, GiB);
  save(tape.lines);
  return tape;
}

function save(lines: readonly string[]): void {
  writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
}

/** `dma-window replay FILE ARGS` in this process: its exit code, and what it printed. */
function replayed(args = ""): { readonly code: number; readonly out: string } {
  const printed: string[] = [];
  const words = ["replay", file, ...args.split(" ").filter((word) => word !== "")];
  const code = replayCommand(parseCommandLine(words) as ReplayLine, (text) => printed.push(text));
  return { code, out: printed.join("\n") };
}

const replaying = suite("dma-window replay");

replaying("says that every answer is the recorded one, on the platform that the trace was recorded on", () => {
  for (const [platform, words] of [
    ["powernv", "(powernv)"],
    ["pseries", "(pseries)"],
    ["type1", "(type1)"],
  ] as const) {
    record({ platform });
    const { code, out } = replayed();
    assert.match(out, words);
    assert.match(out, /recorded on the software kernel with pages of 4 KiB\n/);
    assert.match(out, /calls +\d\n/);
    assert.match(out, /Every answer is the recorded one\.$/);
    assert.is(code, 0, out);
  }
});

replaying("knows a machine without an IOMMU by its groups' names and its container's type", () => {
  record({ platform: "noiommu" }, ["/dev/vfio/noiommu-26"]);
  assert.match(replayed().out, "(noiommu)");
  assert.is(replayed().code, 0);
  record({ platform: "type1", noIommuGroups: [3] }, ["/dev/vfio/26"]);
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const opened = { call: "open", path: "/dev/vfio/noiommu-3", answer: "f9" };
  save([...lines, JSON.stringify(opened)]);
  assert.is(replayed().code, 0, "one beside a group that has one");
});

replaying("says in words what was expected and what came, line by line, and ends with 1", () => {
  record({ platform: "powernv" });
  const { code, out } = replayed("--platform pseries");
  assert.is(code, 1);
  const difference =
    'line 6: GET_INFO was answered 0 with {"size":"0x80000000","pageSizes":"0x40211000","levels":5}; ' +
    'now 0 with {"size":"0x40000000","pageSizes":"0x1211000","levels":1}';
  assert.ok(out.includes(difference), out);
  assert.match(out, /1 of 8 answers differs\.$/);
});

replaying("prints one JSON document when asked", () => {
  record();
  assert.equal(JSON.parse(replayed("--json").out), { kernel: "model", calls: 8, differences: [], moved: 0 });
  const { code, out } = replayed("--json --platform pseries");
  assert.is(code, 1);
  const { differences } = JSON.parse(out);
  assert.equal(Object.keys(differences[0]), ["line", "call", "expected", "got"]);
  assert.equal([differences[0].line, differences[0].call], [6, "GET_INFO"]);
});

replaying("has a software kernel with the recording's groups, page size and limit", () => {
  const options = { groups: [3, 7], pageSize: 65536, lockedMemory: { limit: 4096n, privileged: false } } as const;
  const tape = record(options, ["/dev/vfio/7", "/dev/vfio/3"]);
  assert.ok(tape.lines.some((line) => line.includes("ENOMEM")));
  assert.is(replayed().code, 0);
});

replaying("leaves what was locked before the recording out of the limit", () => {
  const model = modelKernel({ groups: [26, 27], lockedMemory: { limit: 3n << 12n, privileged: false } });
  const before = new Tape(model).start(["/dev/vfio/27"]);
  before.register(before.mmap(2), 8192n);
  const tape = new Tape(model).start();
  tape.register(tape.mmap(2), 8192n);
  assert.is(tape.last.answer, "ENOMEM");
  save(tape.lines);
  assert.is(replayed().code, 0, replayed().out);
});

replaying("takes other groups, in the order in which the trace opens its own, and not more than that", () => {
  record();
  assert.is(replayed("--group 5").code, 0);
  assert.instance(
    thrownBy(() => replayed("--group 5 --group 6")),
    UsageError,
  );
});

replaying("makes no call of a trace of which a line is wrong", () => {
  const { lines } = record();
  save([...lines, '{"call":"op']);
  assert.is(failure("ERR_TRACE_MALFORMED", () => replayed("--kernel linux")).facts?.line, lines.length + 1);
  rmSync(file);
  failure("ERR_TRACE_UNREADABLE", () => replayed());
});

replaying("shows the note of the trace", () => {
  const { lines } = record();
  const header = { ...JSON.parse(lines[0] ?? ""), kernel: "linux", note: "a large machine" };
  save([JSON.stringify(header), ...lines.slice(1)]);
  assert.match(replayed().out, /recorded on a real kernel with pages of 4 KiB: a large machine\n/);
});

replaying.run();

const writing = suite("a trace file");

writing("has each line when it is written, and nothing of what was there", () => {
  writeFileSync(file, "old\n".repeat(100));
  const trace = new TraceFile(file);
  trace.write("one");
  assert.is(readFileSync(file, "utf8"), "one\n");
  trace.write("two");
  assert.is(trace.close(), undefined);
  assert.is(readFileSync(file, "utf8"), "one\ntwo\n");
});

writing("says at its end that the disk was full, and at its beginning that it cannot be", () => {
  const trace = new TraceFile("/dev/full");
  trace.write("one");
  trace.write("two");
  const problem = trace.close();
  assert.is(problem?.code, "ERR_TRACE_UNWRITABLE");
  assert.match(problem?.message ?? "", /\/dev\/full cannot be written: ENOSPC/);
  failure("ERR_TRACE_UNWRITABLE", () => new TraceFile(join(folder, "none/trace")));
});

writing.run();

const command = suite("dma-window, built");

command("records a run, and replays it", () => {
  const args = "run --json --steps 120 --iova va --platform powernv";
  const run = dmaWindow(`${args} --trace ${file}`);
  assert.is(run.code, 0, run.err);
  const plain = JSON.parse(dmaWindow(args).out);
  const { storm, resizes, leaks, mapped } = JSON.parse(run.out);
  assert.equal(
    { storm, resizes, leaks, mapped },
    { ...{ storm: plain.storm, resizes: 0, leaks: 0 }, mapped: plain.mapped },
  );
  const again = dmaWindow(`replay ${file} --json`, { env: WITHOUT_SHIM });
  assert.is(again.code, 0, again.err + again.out);
  const { calls, differences } = JSON.parse(again.out);
  assert.is(calls, readFileSync(file, "utf8").trimEnd().split("\n").length - 1);
  assert.equal(differences, []);
  const other = dmaWindow(`replay ${file} --platform pseries`);
  assert.is(other.code, 1);
  assert.match(other.out, /GET_INFO was answered/);
});

command("records a run on every IOMMU; the trace says itself which one, and every answer comes again", () => {
  for (const [platform, args] of [
    ["powernv", "--iova pa"],
    ["pseries", ""],
    ["type1", "--iova va"],
    ["noiommu", ""],
  ] as const) {
    const stated = `--platform ${platform} ${args} --highest-ram 0xffffffffff`;
    const run = dmaWindow(`run --steps 60 --seed 9 ${stated} --trace ${file}`, { env: WITHOUT_SHIM });
    assert.is(run.code, 0, run.err);
    const { note } = JSON.parse(readFileSync(file, "utf8").split("\n")[0] ?? "");
    assert.ok(note.startsWith("dma-window run, seed 9, IOVA mode ") && note.endsWith(`, ${platform}`), note);
    const again = dmaWindow(`replay ${file}`, { env: WITHOUT_SHIM });
    assert.is(again.code, 0, again.err + again.out);
    assert.match(again.out, `the software model of Linux's VFIO (${platform})`);
  }
});

command("says in one line what is wrong with a trace, or with the file for one", () => {
  writeFileSync(file, "{}\n");
  const bad = dmaWindow(`replay ${file}`);
  assert.equal([bad.code, bad.out], [1, ""]);
  assert.match(bad.err, /^dma-window: line 1 of the trace: .*\[ERR_TRACE_MALFORMED\]\n$/);
  const nowhere = dmaWindow(`run --steps 1 --trace ${folder}/none/trace`);
  assert.equal([nowhere.code, nowhere.out], [1, ""]);
  assert.match(nowhere.err, /\[ERR_TRACE_UNWRITABLE\]\n$/);
  const full = dmaWindow("run --steps 1 --trace /dev/full");
  assert.equal([full.code, full.out], [1, ""]);
  assert.match(full.err, /ENOSPC.*\[ERR_TRACE_UNWRITABLE\]\n$/);
});

command.after(() => rmSync(folder, { recursive: true }));
command.run();
