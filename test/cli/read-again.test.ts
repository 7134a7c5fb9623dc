/** Plans and traces that come through a pipe, a socket or a FIFO, which give their bytes once: what is shown is what a file's are. */
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { CommandLine } from "../../src/cli/options.ts";
import { parseCommandLine } from "../../src/cli/options.ts";
import { withRereadable } from "../../src/cli/read-again.ts";
import { showCommand } from "../../src/cli/show.ts";
import { modelKernel } from "../../src/model/index.ts";
import { MACHINES } from "../../src/plan/machines.ts";
import { mapped, traceOf, type1Open } from "../picture/support.ts";
import { failure } from "../support/failure.ts";
import { Tape } from "../trace/tape.ts";
import { dmaWindow, dmaWindowIn } from "./command.ts";

const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
const at = (name: string) => join(directory, name);

const tape = new Tape(modelKernel()).start(["/dev/vfio/26"]);
tape.register(tape.mmap(2), 8192n);
writeFileSync(at("replayed"), `${tape.lines.join("\n")}\n`);
const calls = Array.from({ length: 3000 }, (_, i) => mapped(`0x${(2 * i + 1).toString(16)}000`, "0x1000"));
writeFileSync(at("trace"), `${traceOf(...type1Open(["0x0", "0xfedfffff"]), ...calls).join("\n")}\n`);
writeFileSync(at("machine"), JSON.stringify({ format: "dma-window machine", ...MACHINES.laptop }));

const once = suite("what can be read only once");

for (const [command, file] of [
  ["show FILE", "trace"],
  ["show FILE --steps 3 --json", "trace"],
  ["show FILE", "machine"],
  ["replay FILE", "replayed"],
] as const) {
  once(`is read once by ${command}, of a ${file}`, () => {
    const expected = dmaWindow(command.replace("FILE", at(file)));
    assert.is(expected.code, 0, expected.err);
    for (const [name, shell] of [
      ["/dev/stdin", `cat ${at(file)} | `],
      ["-", `(head -c 70000 ${at(file)}; sleep 0.1; tail -c +70001 ${at(file)}) | `],
      ["/dev/stdin", ""],
      ["-", ""],
    ] as const) {
      const ended = dmaWindowIn(shell, command.replace("FILE", name), readFileSync(at(file)));
      const called = name === "-" ? "stdin" : name;
      assert.equal(
        { ...ended, out: ended.out.replaceAll(called, "FILE") },
        { ...expected, out: expected.out.replaceAll(at(file), "FILE") },
      );
    }
  });
}

once("may be a FIFO, and is kept under no name", () => {
  execFileSync("mkfifo", [at("fifo")]);
  const before = readdirSync(tmpdir()).length;
  const writing = spawn("sh", ["-c", `cat ${at("trace")} > ${at("fifo")}`]);
  const printed: string[] = [];
  showCommand(parseCommandLine(["show", at("fifo")]) as CommandLine, (text) => printed.push(text));
  assert.match(printed.join(), /11\.7 MiB live|3000 runs/);
  assert.is(readdirSync(tmpdir()).length, before);
  writing.kill();
});

once("is not kept to its end where it is no trace, and may have none", () => {
  failure("ERR_FILE_TOO_LARGE", () =>
    showCommand(parseCommandLine(["show", "/dev/zero"]) as CommandLine, () => assert.unreachable()),
  );
});

once("is an ordinary file itself, and what is not there is left to its reader", () => {
  for (const path of [at("trace"), at("none"), directory, `${at("trace")}/below`]) {
    assert.equal(
      withRereadable(path, (...given) => given),
      [path, path],
    );
  }
});

once("is said where there is no room for it", () => {
  const { TMPDIR = "" } = process.env;
  process.env.TMPDIR = at("none");
  try {
    const { message } = failure("ERR_FILE_UNWRITABLE", () => withRereadable("/dev/null", () => assert.unreachable()));
    assert.match(message, "Write it to a file, and name that");
  } finally {
    if (TMPDIR === "") delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
});

once.after(() => rmSync(directory, { recursive: true }));
once.run();
