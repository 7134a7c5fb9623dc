/** `show`, and what `plan` does beside planning for this machine: words, files, exit codes. */
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type CommandLine, parseCommandLine } from "../../src/cli/options.ts";
import { planCommand } from "../../src/cli/plan.ts";
import { showCommand } from "../../src/cli/show.ts";
import { terminalOptions } from "../../src/cli/terminal.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { planWindow, readPlan } from "../../src/index.ts";
import { describedMachine } from "../../src/plan/described.ts";
import { MACHINES } from "../../src/plan/machines.ts";
import { mapped, traceOf, type1Open } from "../picture/support.ts";
import { failure, thrownBy } from "../support/failure.ts";
import { dmaWindow } from "./command.ts";
import { shapeOfPlanned } from "./contract.ts";

const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
const at = (name: string) => join(directory, name);

/** What the command prints, in 80 columns and UTF-8; fails unless it ends with 0. */
function said(line: string): string {
  const before = { ...process.env };
  Object.assign(process.env, { COLUMNS: "80", LC_ALL: "C.UTF-8", NO_COLOR: "1" });
  try {
    const parsed = parseCommandLine(line.split(" ")) as CommandLine;
    const printed: string[] = [];
    const command = parsed.command === "plan" ? planCommand : showCommand;
    assert.is(
      command(parsed, (text) => printed.push(text)),
      0,
    );
    return printed.join("\n");
  } finally {
    process.env = before;
  }
}

const planning = suite("dma-window plan for another machine");

for (const name of Object.keys(MACHINES)) {
  planning(`plans for ${name}, and gives what planWindow gives`, () => {
    const { request } = describedMachine(MACHINES[name]);
    const plan = planWindow(request);
    const document = JSON.parse(said(`plan --machine ${name} --json --output ${at("plan.json")}`));
    shapeOfPlanned(document, true);
    const hexed = JSON.parse(
      JSON.stringify(plan, (_, value) => (typeof value === "bigint" ? `0x${value.toString(16)}` : value)),
    );
    for (const [key, value] of Object.entries(hexed)) {
      const isCount = ["tces", "levelBytes", "tableBytes", "chargeBytes", "fullGrowth"].includes(key);
      if (!isCount) assert.equal(document[key], value, key);
    }
    assert.equal(readPlan(at("plan.json")), plan);
    const words = said(`plan --machine ${name} --compare`);
    assert.match(words, /^ {2}limits +.*comes first, at /m);
    for (const line of words.split("\n\n").at(-1)?.split("\n") ?? []) assert.ok(line.length <= 80, line);
  });
}

planning("takes a file, and options before what stands in it", () => {
  writeFileSync(at("machine.json"), JSON.stringify({ platform: "type1", lists: [{ bytes: "1G" }], memlock: "64K" }));
  assert.match(said(`plan --machine ${at("machine.json")}`), /IOVAs +1 GiB/);
  const changed = JSON.parse(
    said(`plan --machine ${at("machine.json")} --page-size 2M --memlock unlimited --device-bits 32 --json`),
  );
  assert.equal([changed.pageShift, changed.deviceAddressBits, changed.fullGrowth.lockable], [21, 32, null]);
});

planning("describes one by options alone", () => {
  const line =
    "plan --memory 64T --page-size 1G --platform pseries --cpu-page-size 64K --iommu-pages 64K,1G --memlock 128T --json";
  const plan = JSON.parse(said(line));
  assert.equal([plan.size, plan.pageShift, plan.levels, plan.start], ["0x400000000000", 30, 1, "0x800000000000000"]);
  const x86 = JSON.parse(
    said(
      "plan --memory 1G --platform type1 --range 0x0-0xfedfffff --range 0xfef00000-0x7fffffffff --entries 10 --json",
    ),
  );
  assert.is(x86.fullGrowth.mapsAvailable, 10);
});

planning("says in JSON what page sizes cost, one beside the other", () => {
  const document = JSON.parse(said("plan --machine power10 --compare 4K,1G --json"));
  shapeOfPlanned(document, true);
  assert.equal(
    document.compared.map(({ pageSize, plan }: { pageSize: string; plan: { levels: number } }) => [
      pageSize,
      plan.levels,
    ]),
    [
      ["0x1000", 2],
      ["0x40000000", 1],
    ],
  );
});

planning("passes on what cannot be planned, with every number", () => {
  const { message } = failure("ERR_PLAN_IMPOSSIBLE", () =>
    said("plan --memory 64T --page-size 4K --platform type1 --iommu-bits 39"),
  );
  assert.match(message, "no range that the IOMMU allows holds it in one piece");
  failure("ERR_FILE_UNREADABLE", () => said(`plan --machine ${at("none.json")}`));
  writeFileSync(at("bad.json"), '{"platform": "s390"}');
  failure("ERR_MACHINE_MALFORMED", () => said(`plan --machine ${at("bad.json")}`));
  writeFileSync(at("nojson.json"), "<script>");
  const { message: words } = failure("ERR_MACHINE_MALFORMED", () => said(`plan --machine ${at("nojson.json")}`));
  assert.match(words, "it is no JSON");
  failure("ERR_FILE_TOO_LARGE", () => said("plan --machine /dev/zero"));
  failure("ERR_FILE_UNWRITABLE", () => said(`plan --machine vm --output ${at("none/plan.json")}`));
});

planning.run();

const showing = suite("dma-window show");

showing("draws a plan with its lists, by the machine, by the plan's file, and by the machine's", () => {
  said(`plan --machine lpar --output ${at("lpar.json")}`);
  writeFileSync(at("lpar-machine.json"), JSON.stringify(MACHINES.lpar));
  const own = said("show --machine lpar").split("\n").slice(1);
  for (const file of ["lpar.json", "lpar-machine.json"]) {
    assert.equal(
      said(`show ${at(file)}`)
        .split("\n")
        .slice(-own.length),
      own,
    );
  }
  assert.match(own.join("\n"), /list 0 +16 MiB +0x8[0-9a-fx-]+ +0 bytes of 128 GiB/);
});

showing("draws what plan --json prints, too", () => {
  writeFileSync(at("printed.json"), said("plan --json"));
  assert.match(said(`show ${at("printed.json")}`), "window: 256 MiB at 0x0");
});

const calls = Array.from({ length: 40 }, (_, i) => mapped(`0x${(2 * i + 1).toString(16)}000`, "0x1000"));
const open = type1Open(["0x0", "0xfedfffff"], ["0xfef00000", "0x7fffffffff"]);
const trace = (name: string, lines: readonly string[], end = "\n") => {
  writeFileSync(at(name), `${lines.join("\n")}${end}`);
  return at(name);
};

showing("draws a trace as it is, as it was, and as it grew", () => {
  const file = trace("a.jsonl", traceOf(...open, ...calls));
  assert.match(said(`show ${file}`), /160 KiB live.*1 MiB kept, the live\n? +part in 40 runs/s);
  assert.match(said(`show ${file} --at 6`), "8 KiB live");
  const moments = said(`show ${file} --steps 4`)
    .split("\n")
    .filter((line) => /^ *line \d+/.test(line));
  assert.equal(
    moments.map((line) => /(\d+) KiB$/.exec(line)?.[1]),
    ["40", "80", "120", "160"],
  );
  const document = JSON.parse(said(`show ${file} --json`));
  assert.equal([document.windows[0].bytes.live, document.windows[0].liveRuns], ["0x28000", 40]);
});

showing("draws a trace when most was live, where nothing is at its end", () => {
  const file = trace("ended.jsonl", traceOf(...open, ...calls, { call: "close", fd: "f1", answer: 0 }));
  const text = said(`show ${file}`);
  assert.match(text, "160 KiB live");
  assert.match(text, /when most was live/);
});

showing("draws what is there of a trace that is being written: half a line, half a batch", () => {
  const lines = traceOf(...open, ...calls);
  const half = trace("half.jsonl", [...lines, '{"call":"MAP_D'], "");
  const batch = trace("batch.jsonl", [...lines, JSON.stringify({ ...mapped("0x90000", "0x1000"), batch: [1, 2] })]);
  for (const file of [half, batch]) {
    const text = said(`show ${file}`);
    assert.match(text, "still being written");
    assert.match(text, /16[04] KiB live/);
  }
  const header = trace("header.jsonl", traceOf());
  assert.match(said(`show ${header}`), "no device reaches anything");
});

showing("refuses what is no plan and no trace, and a trace that is wrong in its middle", () => {
  writeFileSync(at("text.txt"), "hello\n");
  for (const file of [at("text.txt"), fileURLToPath(import.meta.url)])
    failure("ERR_NOT_SHOWABLE", () => said(`show ${file}`));
  failure("ERR_FILE_UNREADABLE", () => said(`show ${at("none")}`));
  failure("ERR_FILE_UNREADABLE", () => said(`show ${directory}`));
  failure("ERR_FILE_TOO_LARGE", () => said("show /dev/zero"));
  failure("ERR_TRACE_MALFORMED", () =>
    said(`show ${trace("bad.jsonl", [...traceOf(...open), "{", ...traceOf(...open).slice(1)])}`),
  );
  writeFileSync(at("edited.json"), readFileSync(at("lpar.json"), "utf8").replace('"levels": 1', '"levels": 9'));
  failure("ERR_PLAN_MALFORMED", () => said(`show ${at("edited.json")}`));
  failure("ERR_NOT_SHOWABLE", () => said(`show ${at("lpar.json")} --steps`));
});

showing("sets the storm under a static window beside that under a dynamic one", () => {
  const text = said("show --storm --steps 150 --seed 3");
  assert.match(text, /static window +dynamic window/);
  assert.match(text, /static window: .*\n {2}never touched; 0 live pages of 4 KiB interrupted/);
  assert.match(text, /dynamic window: .*\n {2}replaced \d+ times/);
  assert.match(text, /no window: [\d.]+ MiB out of reach/);
  const alone = said("show --storm --steps 50 --platform type1");
  assert.match(alone, "there is no dynamic window");
});

showing("writes SVG and a page", () => {
  said(`show --machine laptop --svg ${at("a.svg")} --html ${at("a.html")}`);
  said(`show --storm --steps 30 --svg ${at("s.svg")} --html ${at("s.html")}`);
  for (const name of ["a.svg", "s.svg"]) assert.match(readFileSync(at(name), "utf8"), /^<svg xmlns/);
  for (const name of ["a.html", "s.html"]) assert.match(readFileSync(at(name), "utf8"), /^<!doctype html>/);
  failure("ERR_FILE_UNWRITABLE", () => said(`show --machine laptop --svg ${at("none/a.svg")}`));
});

const wrong = [
  "show a b",
  "show --follow",
  "show --at 5",
  "show --steps",
  "show a --storm",
  "show a --machine vm",
  "show a --platform type1",
  "show a --follow --svg x",
  "show a --at 0",
  "show a --at 5 --steps",
  "show --storm --machine vm",
  "show --trace x",
  "show --compare",
  "show --output x",
  "run --svg x",
  "run --machine vm",
  "run --compare",
  "replay a --output x",
  "plan --storm",
  "plan --html x",
  "plan --compare 5K",
  "plan --machine vm --entries -1",
  "plan --memory 64Q",
  "plan --range 5",
  "plan --range 1-2-3",
  "plan --device-bits 65",
  "plan --output=",
  "plan --kernel linux --group 1 --memory 1G",
  "devices --svg x",
];

for (const line of wrong) {
  showing(`refuses in words: ${line}`, () => {
    assert.instance(
      thrownBy(() => parseCommandLine(line.split(" "))),
      UsageError,
    );
  });
}

showing("ends with 0, 1 and 2, and says why on stderr", () => {
  const file = trace("b.jsonl", traceOf(...open, ...calls));
  assert.is(dmaWindow(`show ${file}`).code, 0);
  const unreadable = dmaWindow(`show ${at("none")}`);
  assert.equal([unreadable.code, unreadable.out], [1, ""]);
  assert.match(unreadable.err, /^dma-window: .*none cannot be read.* \[ERR_FILE_UNREADABLE\]\n$/);
  assert.is(dmaWindow("show --follow").code, 2);
});

showing("honours the locale, COLUMNS and NO_COLOR", () => {
  const facts = { env: {}, isTTY: true, columns: 100 };
  assert.equal(terminalOptions(facts), { columns: 100, unicode: false, colour: true });
  const env = { LANG: "de_DE.UTF-8", NO_COLOR: "1", COLUMNS: "60" };
  assert.equal(terminalOptions({ ...facts, env }), { columns: 60, unicode: true, colour: false });
  assert.is(terminalOptions({ ...facts, env: { LANG: "de_DE.UTF-8", LC_ALL: "C" } }).unicode, false);
  assert.is(terminalOptions({ ...facts, env: { NO_COLOR: "" } }).colour, true);
  assert.is(terminalOptions({ ...facts, env: { TERM: "dumb" } }).colour, false);
  assert.equal(terminalOptions({ env: { COLUMNS: "x" }, isTTY: false, columns: undefined }).columns, 80);
  const file = at("b.jsonl");
  const ascii = dmaWindow(`show ${file}`, { env: { LC_ALL: "C", COLUMNS: "60" } }).out;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is what is asked for
  assert.match(ascii, /^[\u000a\u0020-\u007e]*$/);
  for (const line of ascii.split("\n")) assert.ok(line.length <= 60, line);
});

showing("follows a program that runs, to the end of its container", async () => {
  const lines = traceOf(...open, ...calls);
  const file = trace("live.jsonl", lines.slice(0, 10));
  const main = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));
  const child = spawn(process.execPath, [main, "show", file, "--follow"], {
    env: { ...process.env, LC_ALL: "C", COLUMNS: "80" },
  });
  let out = "";
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const until = (words: string) =>
    new Promise<void>((resolve, reject) => {
      child.stdout.setEncoding("utf8").on("data", (text) => {
        out += text;
        if (out.includes(words)) resolve();
      });
      child.on("close", () => reject(new Error(`it ended before it said ${words}: ${out}`)));
    });
  await until("24 KiB live");
  appendFileSync(file, `${lines.slice(10).join("\n")}\n{"call":"clo`);
  await until("160 KiB live");
  appendFileSync(file, 'se","fd":"f1","answer":0}\n');
  assert.is(await ended, 0);
  assert.match(out, "no device reaches anything");
});

showing("leaves nothing behind", () => {
  rmSync(directory, { recursive: true });
  assert.not.ok(existsSync(directory));
});

showing.run();
