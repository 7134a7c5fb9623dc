/** What every command does alike where it cannot do what it is for: the exit code, words on stderr, with --json a document on stdout. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { HELP_OF } from "../../src/cli/help.ts";
import { dmaWindow, dmaWindowIn } from "./command.ts";

const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
const at = (name: string) => join(directory, name);
mkdirSync(at("machine"));
writeFileSync(at("text"), "hello\n");
const NVME = "0000:01:00.0";

const failures = suite("what cannot be done");

for (const [line, code] of [
  [`run --steps 5 --trace ${at("none/trace")}`, "ERR_TRACE_UNWRITABLE"],
  ["run --steps 5 --platform noiommu --iova va", "ERR_PLAN_IMPOSSIBLE"],
  ["plan --memory 64T --page-size 4K --platform type1 --iommu-bits 39", "ERR_PLAN_IMPOSSIBLE"],
  [`plan --machine ${at("text")}`, "ERR_MACHINE_MALFORMED"],
  [`plan --machine vm --output ${at("none/plan")}`, "ERR_FILE_UNWRITABLE"],
  [`show ${at("text")}`, "ERR_NOT_SHOWABLE"],
  [`show --machine vm --svg ${at("none/a.svg")}`, "ERR_FILE_UNWRITABLE"],
  [`replay ${at("text")}`, "ERR_TRACE_MALFORMED"],
  [`explain --file ${at("none")}`, "ERR_LOG_UNREADABLE"],
  [`explain --trace ${at("text")}`, "ERR_TRACE_MALFORMED"],
  [`devices ${NVME} --root ${at("machine")}`, "ERR_NO_DEVICE"],
  [`bind ${NVME} --root ${at("machine")}`, "ERR_NO_DEVICE"],
  [`unbind ${NVME} --root ${at("machine")}`, "ERR_NO_DEVICE"],
] as const) {
  failures(`is said with 1, on stderr, and to programs on stdout: ${line.replaceAll(directory, "")}`, () => {
    const { code: exit, out, err } = dmaWindow(`${line} --json`);
    assert.is(exit, 1, err);
    const { error, ...more } = JSON.parse(out);
    assert.equal(more, {});
    assert.is(error.code, code);
    assert.match(err, error.message.split("\n")[0].replace("noIommu: true", "--no-iommu"));
    assert.match(err, `[${code}]\n`);
    assert.not.match(err, /^ +at /m);
  });
}

failures("is said with its numbers to programs", () => {
  const line = "plan --memory 64T --page-size 4K --platform type1 --iommu-bits 39";
  const { error } = JSON.parse(dmaWindow(`${line} --json`).out);
  assert.equal([error.name, error.facts.needed], ["DmaWindowError", "0x400000000000"]);
  assert.is(error.facts.rejected.length, 3);
  const words = dmaWindow(line);
  assert.equal([words.code, words.out], [1, ""]);
});

failures("is a document with nothing in it where nothing is explained, and of a log no line", () => {
  for (const [line, expected] of [
    ["explain MAP_DMA EXDEV", { call: "VFIO_IOMMU_MAP_DMA", answer: "EXDEV", causes: [], passed: [] }],
    ["explain EPIPE", { answer: "EPIPE", calls: [], alsoCalls: [] }],
    ["explain some: words", { call: null, answer: null, causes: [], passed: [] }],
    ["explain it failed: EINVAL", { call: null, answer: "EINVAL", causes: [], passed: [] }],
  ] as const) {
    const { code, out } = dmaWindow(`${line} --json`);
    assert.equal([code, JSON.parse(out)], [1, expected], line);
  }
  const { code, out, err } = dmaWindow(`explain --file ${at("text")} --json`);
  assert.equal([code, out], [1, ""]);
  assert.match(err, "no call of VFIO's that failed was found in");
});

failures("is wrong usage where the words cannot be: 2, on stderr, and nothing on stdout", () => {
  for (const line of [
    "nothing",
    "run extra",
    "run --steps 0",
    "plan --machine nope",
    "show --follow",
    "replay",
    "explain XX",
    "doctor --root /none",
    "devices here",
    "bind",
    "unbind",
  ]) {
    const { code, out, err } = dmaWindow(`${line} --json`);
    assert.equal([code, out], [2, ""], line);
    assert.match(err, /^dma-window: .*\n\(dma-window COMMAND --help shows the options\)\n$/);
  }
});

failures("may be that nothing can be written: 1, and no stack", () => {
  for (const line of ["plan", "explain MAP_DMA", "explain MAP_DMA --json", "doctor --json"]) {
    const { code, err } = dmaWindowIn("", `${line} > /dev/full`, Buffer.of());
    assert.is(code, 1);
    assert.is(err, "dma-window: the result could not be written: ENOSPC: no space left on device, write\n", line);
  }
});

failures("is told by each command's help", () => {
  for (const [command, text] of Object.entries(HELP_OF)) {
    if (command === "exec") continue; // it has those of its program
    assert.match(text, /Exit codes: 0 [^;]*; 1 [^;]*;\s+2 wrong usage\./, command);
  }
});

failures.after(() => rmSync(directory, { recursive: true }));
failures.run();
