/** A plan into JSON and back; what is none is refused field by field. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  MemsegTable,
  modelKernel,
  openContainer,
  parsePlan,
  planToJson,
  planWindow,
  readPlan,
} from "../../src/index.ts";
import { describedMachine } from "../../src/plan/described.ts";
import { MACHINES } from "../../src/plan/machines.ts";
import { parseStoredPlan } from "../../src/plan/parse-plan.ts";
import { failure, refused, refusesArgument } from "../support/failure.ts";
import { GiB, interruptHole, list, MiB, planFor, powernv, pseries, type1 } from "./facts.ts";

const stored = suite("a stored plan");

const plans = {
  powernv: planFor(65536n, 64n * GiB, powernv()),
  pseries: planFor(1n << 21n, 64n * GiB, pseries()),
  "the default window": planWindow({
    memory: { lists: [list(4096n, MiB)] },
    info: pseries({ dynamicWindows: false, cpuPageSize: 4096 }),
  }),
  type1: planFor(4096n, GiB, type1()),
  "type1 over ranges": planWindow({
    memory: { lists: [list(4096n, 3n * GiB), list(1n << 21n, 3n * GiB, 8n * GiB)] },
    info: type1({
      ranges: interruptHole.map(({ start, last }) => ({ start, last: last > 8n * GiB ? 8n * GiB - 1n : last })),
    }),
  }),
  "a device of 32 bits": planWindow({ memory: { lists: [list(4096n, GiB)] }, info: type1(), deviceAddressBits: 32 }),
  noiommu: planWindow({
    memory: { lists: [list(1n << 21n, GiB)] },
    info: { kind: "noiommu", cpuPageSize: 4096, pageSizes: 0xfffff000n, lockedMemory: powernv().lockedMemory },
    highestRam: GiB - 1n,
  }),
  ...Object.fromEntries(
    Object.entries(MACHINES).map(([name, machine]) => [name, planWindow(describedMachine(machine).request)]),
  ),
};

for (const [name, plan] of Object.entries(plans)) {
  stored(`is what it was: ${name}`, () => {
    assert.equal(parsePlan(JSON.stringify(planToJson(plan))), plan);
    const lists = [{ base: 4096n, length: 8192n, pageSize: 4096n }];
    assert.equal(parseStoredPlan(JSON.stringify(planToJson(plan, lists))), { plan, lists });
  });
}

stored("makes the window that it was made for", () => {
  const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
  try {
    for (const platform of ["powernv", "pseries", "type1"] as const) {
      const kernel = modelKernel({ platform });
      const memory = new MemsegTable({ kernel });
      memory.addList({ pageSize: 4096, maxBytes: 1 << 20 });
      const container = openContainer({ kernel, groups: [26] });
      const plan = planWindow({ memory, info: container.info() });
      const path = join(directory, `${platform}.json`);
      writeFileSync(path, JSON.stringify(planToJson(plan)));
      const window = container.createWindow(readPlan(path));
      assert.equal([window.size, window.pageShift, window.iovaMode], [plan.size, plan.pageShift, plan.iovaMode]);
      container.close();
      memory.close();
    }
    const text = failure("ERR_PLAN_UNREADABLE", () => readPlan(join(directory, "none.json"))).message;
    assert.match(text, "none.json cannot be read");
    writeFileSync(join(directory, "large.json"), `${" ".repeat(1 << 24)} {}`);
    failure("ERR_PLAN_MALFORMED", () => readPlan(join(directory, "large.json")));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/** What is no path, no text, no plan, and no field of one. */
const nothings: readonly unknown[] = [null, Symbol("plan"), () => {}, new Date(0), Number.NaN, -1n, "\0", [null], [{}]];

stored("is in nothing, and of nothing, that is none", () => {
  for (const nothing of [...nothings, undefined, 0, 1n, true]) {
    const isText = typeof nothing === "string";
    if (!isText)
      assert.match(refusesArgument(() => readPlan(nothing as never)).message, /^path must be a path \(a string\)/);
    if (!isText)
      assert.match(refusesArgument(() => parsePlan(nothing as never)).message, /^text must be the text of a pl/);
    assert.match(refusesArgument(() => planToJson(nothing as never)).message, /^plan/);
    if (nothing === undefined) continue;
    assert.match(refusesArgument(() => planToJson(plans.powernv, nothing as never)).message, /^lists/);
  }
  failure("ERR_PLAN_UNREADABLE", () => readPlan("\0"));
});

for (const field of Object.keys({ ...plans["type1 over ranges"], ...plans["a device of 32 bits"] })) {
  stored(`is not written down with a ${field} that no plan has`, () => {
    for (const nothing of nothings) {
      const plan = { ...plans["type1 over ranges"], [field]: nothing } as never;
      assert.match(refusesArgument(() => planToJson(plan)).message, `plan.${field}`);
    }
  });
}

stored("is refused on an IOMMU of another kind", () => {
  const container = openContainer({ kernel: modelKernel({ platform: "type1" }), groups: [26] });
  failure("ERR_PLAN_MISFIT", () => container.createWindow(parsePlan(JSON.stringify(planToJson(plans.powernv)))));
  container.close();
});

/** What is changed in a good plan, the field that is named, and a part of what is said. */
const wrong: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ["format", { format: "dma-window machine" }, 'must be "dma-window plan"'],
  ["version", { version: 0 }, "from 1"],
  ["version", { version: "1" }, "whole number"],
  ["kind", { kind: "amd" }, '"spapr", "type1", "noiommu"'],
  ["iovaMode", { iovaMode: "Rebased" }, '"rebased"'],
  ["pageShift", { pageShift: 11 }, "from 12 to 40"],
  ["pageShift", { pageShift: 41 }, "from 12 to 40"],
  ["pageShift", { pageShift: 16.5 }, "whole number"],
  ["size", { size: "0x0" }, "power of two"],
  ["size", { size: "0x1800000000" }, "power of two"],
  ["size", { size: "64G" }, "hex number"],
  ["size", { size: -1 }, "hex number"],
  ["size", { size: 2 ** 60 }, "hex number"],
  ["size", { size: "0x10000000000000000" }, "hex number"],
  ["size", { size: undefined }, "it is missing"],
  ["start", { start: "0x1000" }, "multiple"],
  ["start", { start: "0xfffffffffff00000" }, "ends by 2^64"],
  ["needed", { needed: "0x0" }, "from 1 byte"],
  ["needed", { needed: "0x1000000001" }, "64 GiB"],
  ["tces", { tces: 7 }, "pages of the window"],
  ["levels", { levels: 0 }, "from 1 to 5"],
  ["levels", { levels: 6 }, "from 1 to 5"],
  ["levelBytes", { levelBytes: [] }, "a size for each"],
  ["levelBytes", { levelBytes: "none" }, "be a list"],
  ["tableBytes", { tableBytes: 5 }, "all of levelBytes"],
  ["dmaMaskBits", { dmaMaskBits: 64 }, "must be 36"],
  ["deviceAddressBits", { deviceAddressBits: 32 }, "at least 36"],
  ["holes", { holes: [{ start: "0x1000", last: "0x1fff" }] }, "only type1"],
  ["alignment", { alignment: "0x10000" }, "only type1"],
  ["fullGrowth", { fullGrowth: null }, "be an object"],
  [
    "fullGrowth.lockable",
    { fullGrowth: { ...(planToJson(plans.powernv).fullGrowth as object), lockable: "all" } },
    "hex",
  ],
  [
    "fullGrowth.more",
    { fullGrowth: { ...(planToJson(plans.powernv).fullGrowth as object), more: 1 } },
    'has no "more"',
  ],
  ["rejected[0].reason", { rejected: [{ choice: "a" }] }, "be text"],
  ["warnings[0]", { warnings: [5] }, "be text"],
  ["warnings[0]", { warnings: ["x".repeat(20_000)] }, "at most 16384 characters"],
  ["lists[0].base", { lists: [{ base: "0x10", length: "0x1000", pageSize: "0x1000" }] }, "multiple"],
  ["pagesize", { pagesize: 5 }, 'did you mean "pageShift"?'],
  ["__proto__", JSON.parse('{"__proto__": 1}'), 'has no "__proto__"'],
  ["constructor", { constructor: 1 }, 'has no "constructor"'],
];

type Bounds = readonly (readonly [unknown, unknown])[];
const holes = (...bounds: Bounds) => ({ holes: bounds.map(([start, last]) => ({ start, last })) });

/** The same of a plan of 7 GiB less 17 MiB from 0 on, with one hole at 0xfee00000-0xfeefffff and two pieces of 3 GiB. */
const wrongOnType1: typeof wrong = [
  ["holes[0].last", holes(["0x1000", "0xfff"]), "from its start to the window's end"],
  ["holes[0].last", holes(["0x1000", "0x1bef00000"]), "from its start to the window's end 0x1beefffff"],
  ["holes[0].last", holes(["0x1bef00000", "0x1bef00fff"]), "the window's end"],
  ["holes[0].last", holes(["0x1000", "0x10000000000000000"]), "below 2^64"],
  ["holes[0].last", holes(["0x1000", 2 ** 53]), "below 2^53"],
  ["holes[0].start", holes([-1, 5]), "hex number"],
  ["holes[0].last", holes(["0x1000", undefined]), "it is missing"],
  ["holes[1].start", holes(["0x0", "0xfff"], ["0x10", "0x20"]), "0x1000 or higher: holes lie in the window, ascending"],
  ["holes[1].start", holes(["0x0", "0xfff"], ["0xfff", "0x1fff"]), "ascending"],
  ["holes[1].start", holes(["0x2000", "0x2fff"], ["0x0", "0xfff"]), "ascending"],
  ["holes[1].start", holes(["0x0", "0xfff"], ["0x0", "0xfff"]), "ascending"],
  ["holes[0].end", { holes: [{ start: "0x0", last: "0xfff", end: 1 }] }, 'has no "end"'],
  ["holes", holes(["0x0", "0x1beefffff"]), "leave 6 GiB"],
  ["holes", holes(["0x0", "0x3eefffff"], ["0xfee00000", "0xfeefffff"]), "leave 6 GiB"],
];

const all = [
  ...wrong.map((row) => [plans.powernv, ...row] as const),
  ...wrongOnType1.map((row) => [plans["type1 over ranges"], ...row] as const),
];

for (const [plan, field, change, words] of all) {
  stored(`is refused where ${field} is ${JSON.stringify(change).slice(0, 60)}`, () => {
    const good = planToJson(plan);
    const entries = [...Object.entries(good), ...Object.entries(change)];
    const document = Object.fromEntries(entries.filter(([key]) => key !== "__proto__"));
    let text = JSON.stringify(document);
    if (Object.hasOwn(change, "__proto__")) text = `{"__proto__":1,${text.slice(1)}`;
    const error = failure("ERR_PLAN_MALFORMED", () => parsePlan(text));
    assert.is(error.facts?.field, field, error.message);
    assert.ok(error.message.includes(words), error.message);
    assert.match(error.message, "make it anew with dma-window plan --output");
  });
}

stored("whose IOVAs are addresses may have holes in all but a page", () => {
  const info = type1({ ranges: [{ start: 0x10000n, last: (1n << 39n) - 1n }] });
  const plan = planWindow({ memory: { lists: [list(4096n, MiB, GiB)] }, info, iovaMode: "va" });
  assert.is(plan.holes.length, 1);
  assert.equal(parsePlan(JSON.stringify(planToJson(plan))), plan);
  const none = { ...planToJson(plan), ...holes([plan.start.toString(), `0x${(plan.size - 1n).toString(16)}`]) };
  assert.match(failure("ERR_PLAN_MALFORMED", () => parsePlan(JSON.stringify(none))).message, "holes");
});

stored("of a later version is refused as that", () => {
  const later = { ...planToJson(plans.powernv), version: 2 };
  const error = failure("ERR_PLAN_VERSION", () => parsePlan(JSON.stringify(later)));
  assert.match(error.message, "the plan has version 2");
});

stored("that is none is refused, whatever it is", () => {
  for (const text of ["", "null", "[]", "5", '"x"', "{", "[".repeat(100_000), '{"a":1}', "\u0000", "<script>"]) {
    failure("ERR_PLAN_MALFORMED", () => parsePlan(text));
  }
  for (const none of [undefined, null, 5, {}, Buffer.from("{}")])
    refused("ERR_INVALID_ARG_TYPE", () => parsePlan(none as never));
});

stored("says nothing to a terminal that it should not", () => {
  const text = JSON.stringify({ ...planToJson(plans.powernv), kind: "\u001b[2Jspapr\u202e\u0007" });
  const { message } = failure("ERR_PLAN_MALFORMED", () => parsePlan(text));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
  assert.not.match(message, /[\u0000-\u001f\u007f-\u009f\u202e]/);
});

stored.run();
