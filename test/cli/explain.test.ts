/** `dma-window explain`: the command line, the contract of --json, and logs that do not fit into memory. */
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { explainCommand } from "../../src/cli/explain.ts";
import type { ExplainLine } from "../../src/cli/explain-line.ts";
import { logLines } from "../../src/cli/log-lines.ts";
import { parseCommandLine } from "../../src/cli/options.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { thrownBy } from "../support/failure.ts";
import { dmaWindow } from "./command.ts";

const folder = mkdtempSync(join(tmpdir(), "dma-window-"));
const file = join(folder, "app.log");
const MiB = 1 << 20;

/** In this process: exit code and what is printed. */
function run(...words: readonly string[]): { readonly code: number; readonly out: string } {
  const printed: string[] = [];
  const code = explainCommand(parseCommandLine(["explain", ...words]) as ExplainLine, (text) => printed.push(text));
  return { code, out: printed.join("\n") };
}

function usage(...words: readonly string[]): string {
  const error = thrownBy(() => parseCommandLine(["explain", ...words]));
  assert.instance(error, UsageError);
  return (error as Error).message;
}

const calls = suite("explain CALL ANSWER");

calls("takes names with and without prefixes, numbers, and errnos in each form", () => {
  const [first] = [run("MAP_DMA", "EINVAL", "--json").out];
  const same = [
    ["VFIO_IOMMU_MAP_DMA", "EINVAL"],
    ["IOMMU_MAP_DMA", "einval"],
    ["map_dma", "-22"],
    ["0x3b71", "22"],
    ["0x20003b71", "-22"],
  ];
  for (const words of same) assert.is(run(...words, "--json").out, first, words.join(" "));
});

calls("--json has what the contract says", () => {
  const { code, out } = run("MAP_DMA", "-12", "--json", "--platform", "type1");
  const found = JSON.parse(out);
  assert.is(code, 0);
  assert.is(found.call, "VFIO_IOMMU_MAP_DMA");
  assert.is(found.answer, "ENOMEM");
  assert.ok(found.causes.length > 1);
  for (const [i, cause] of found.causes.entries()) {
    assert.is(cause.rank, i + 1);
    for (const field of ["check", "source", "fix"]) assert.type(cause[field], "string", field);
    assert.match(cause.source, /^[a-z0-9/_.-]+: \w+/i);
  }
});

calls("judges the operands", () => {
  const all = ["MAP_DMA", "EINVAL", "--platform", "type1", "--argsz", "32", "--flags", "3", "--json"];
  const at = (iova: string, size: string) =>
    JSON.parse(run(...all, "--vaddr", "0x7f0000000000", "--iova", iova, "--size", size).out).causes[0].check;
  assert.is(at("0x1001", "0x1000"), "whole-pages");
  assert.is(at("0x1000", "0"), "empty");
  assert.is(at("0xfffffffffffff000", "0x2000"), "wraps-64");
});

calls("--linux leaves out what that version does not check", () => {
  const checks = (linux: string) =>
    JSON.parse(run("UNMAP_DMA", "EOVERFLOW", "--linux", linux, "--json").out).causes.map(
      ({ check }: { readonly check: string }) => check,
    );
  assert.not.equal(checks("6.1"), checks("6.18"));
});

calls("exits with 1 where there is nothing to explain", () => {
  assert.is(run("MAP_DMA", "EXDEV", "--json").code, 1);
  assert.is(run("nothing of vfio's here").code, 1);
});

calls("says what is wrong with its words", () => {
  assert.match(usage("MAP_DMX", "EINVAL"), /no call "MAP_DMX"; did you mean MAP_DMA/);
  assert.match(usage("MAP_DMA", "EINVALID"), /takes an errno by name or number/);
  assert.match(usage("MAP_DMA", "EINVAL", "--iova", "zebra"), /--iova takes a number/);
  assert.match(usage("MAP_DMA", "EINVAL", "--iova", "0x10000000000000000"), /below 2\^64/);
  assert.match(usage("MAP_DMA", "EINVAL", "--linux", "latest"), /--linux takes a version/);
  assert.match(usage("MAP_DMA", "EINVAL", "--plattform", "type1"), /did you mean --platform/);
  assert.match(usage("ERR_NO_HOL"), /no code .*did you mean ERR_NO_HOLE/);
  assert.match(usage("--trace", "x", "--file", "y"), /one at a time/);
  assert.match(usage(""), /got nothing/);
  for (const option of ["--vaddr", "--path", "--file"]) {
    assert.match(usage("MAP_DMA", "EINVAL", option), new RegExp(`'${option} <value>' argument missing`));
    assert.match(usage(option, "--json"), new RegExp(`'${option}' argument is ambiguous`));
  }
  assert.match(usage("MAP_DMA", "EINVAL", "--json=yes"), /'--json' does not take an argument/);
});

calls("takes what stands behind an option's = as its value, blanks and all", () => {
  const line = parseCommandLine(["explain", "--file=my app.log"]) as ExplainLine;
  assert.equal([line.kind, "file" in line && line.file], ["log", "my app.log"]);
  const asked = parseCommandLine(["explain", "GROUP_GET_DEVICE_FD", "ENODEV", "--name=0000:01:00.0 "]) as ExplainLine;
  assert.equal([asked.kind, asked.asked.name], ["call", "0000:01:00.0 "]);
  const log = parseCommandLine(["explain", "--gpu=0 is what it begins with"]) as ExplainLine;
  assert.is(log.kind, "text");
});

const withoutCall: readonly (readonly string[])[] = [
  ["ENOMEM"],
  ["enomem"],
  ["-12"],
  ["-ENOMEM"],
  ["Cannot allocate memory"],
  ["Cannot", "allocate", "memory"],
  ["12"],
];

for (const words of withoutCall) {
  calls(`${words.join(" ")} alone is an answer: the call is asked for, and those are listed that give it`, () => {
    const { code, out } = run(...words);
    assert.is(code, 0);
    assert.match(out, /^ENOMEM is an answer: name the call too/);
    assert.match(out, /MAP_DMA +locked-memory/);
    assert.match(out, /dma-window explain MAP_DMA ENOMEM/);
    assert.not.match(out, "VFIO_CHECK_EXTENSION");
    const json = JSON.parse(run(...words, "--json").out);
    assert.is(json.answer, "ENOMEM");
    assert.ok(json.calls.some(({ call }: { readonly call: string }) => call === "VFIO_IOMMU_MAP_DMA"));
  });
}

calls("a number that is an errno and a call's says that it is both; what is only a call's number stays one", () => {
  assert.match(run("12").out, /12 is a call's number too.*VFIO_IOMMU_GET_INFO.*BASE\+12/s);
  const { alsoCalls } = JSON.parse(run("12", "--json").out);
  assert.equal(alsoCalls.slice(0, 1), ["VFIO_IOMMU_GET_INFO"]);
  assert.is(run("18").code, 0);
  assert.is(JSON.parse(run("18", "--json").out).call, "VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY");
  assert.not.match(run("-12").out, "call's number");
  assert.equal(JSON.parse(run("-12", "--json").out).alsoCalls, []);
  assert.is(JSON.parse(run("BASE+12", "--json").out).call, "VFIO_IOMMU_GET_INFO");
  assert.is(JSON.parse(run("13", "EINVAL", "--json").out).call, "VFIO_IOMMU_MAP_DMA");
});

calls("an answer that no call gives, and one of a platform", () => {
  assert.is(run("EXDEV").code, 1);
  assert.is(run("ENXIO", "--platform", "noiommu").out.includes("VFIO_IOMMU_MAP_DMA"), false);
});

calls.run();

const logs = suite("explain a log");

logs("tells what differs once, and counts the rest", () => {
  const line = "EAL:   cannot set up DMA remapping, error 12 (Cannot allocate memory)\n";
  writeFileSync(file, `hello\n${line.repeat(5)}vfio 0000:01:00.0: group 1 is not viable\n`);
  const { code, out } = run("--file", file);
  assert.is(code, 0);
  assert.match(out, /line 2\n/);
  assert.match(out, /line 7\n/);
  assert.match(out, /As line 2: 4 more\./);
  const each = run("--file", file, "--json").out.split("\n");
  assert.equal(
    each.map((one) => JSON.parse(one).line),
    [2, 3, 4, 5, 6, 7],
  );
});

logs("shows no control character of it", () => {
  writeFileSync(file, "\u001b]0;x\u0007failed to open /dev/vfio/\u001b[2J26\u202e: Permission denied\u0000\r\n");
  const { code, out } = run("--file", file);
  assert.is(code, 0);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  assert.not.match(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
});

logs("100 MB are read line by line, and so is one line of 100 MB", () => {
  const log = openSync(file, "w");
  const lines = Buffer.from(
    "2024-02-07T09:02:08 some other program wrote this line, of a hundred characters in all, no less\n".repeat(10_000),
  );
  for (let written = 0; written < 50 * MiB; written += lines.length) writeSync(log, lines);
  writeSync(log, "vfio 0000:01:00.0: group 1 is not viable\n");
  const long = Buffer.alloc(MiB, "(");
  for (let i = 0; i < 50; i++) writeSync(log, long);
  closeSync(log);
  const before = process.memoryUsage().arrayBuffers;
  let longest = 0;
  let count = 0;
  for (const line of logLines(file)) {
    longest = Math.max(longest, line.length);
    count++;
  }
  assert.ok(count > 500_000);
  assert.ok(longest <= 8192, `${longest}`);
  assert.ok(process.memoryUsage().arrayBuffers - before < 10 * MiB);
  const { code, out } = run("--file", file);
  assert.is(code, 0);
  assert.match(out, /not-viable/);
});

logs("that is not there is an error with a code", () => {
  const error = thrownBy(() => run("--file", join(folder, "none"))) as Error & { readonly code: string };
  assert.is(error.code, "ERR_LOG_UNREADABLE");
});

logs("as a process: exit codes, and nothing but JSON on stdout", () => {
  const good = dmaWindow("explain MAP_DMA EINVAL --json");
  assert.is(good.code, 0, good.err);
  assert.is(JSON.parse(good.out).answer, "EINVAL");
  assert.is(dmaWindow("explain MAP_DMX EINVAL").code, 2);
  assert.is(dmaWindow("explain MAP_DMA EXDEV").code, 1);
});

logs.after(() => rmSync(folder, { recursive: true }));
logs.run();
