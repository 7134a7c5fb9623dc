/**
 * Every failing row of the conformance suite names its check: by call, answer and platform alone it is among the causes, and with
 * what a trace of the row shows it is, but for a few, the first. The rows are run on the software kernel, and recorded.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { callsNamed } from "../../src/explain/calls.ts";
import { CRASH, POSITIVE, SUCCESS } from "../../src/explain/cause.ts";
import { type Explanation, explainCall, type Platform } from "../../src/explain/explanation.ts";
import { explainTrace } from "../../src/history/explain.ts";
import { readTrace, recordTrace } from "../../src/trace/index.ts";
import { tellings } from "../conformance/drift.ts";
import { modelTarget, versions } from "../conformance/model-target.ts";
import type { PlatformName } from "../conformance/row.ts";
import { allRows, answerOf, expectedOf, type PlacedRow, rowsOf } from "../conformance/run-on.ts";
import type { Target } from "../conformance/target.ts";
import { rowChecks } from "./row-checks.ts";

const platforms = Object.keys(versions) as PlatformName[];
const pageSizes = (platform: PlatformName) =>
  platform === "powernv" || platform === "pseries" ? [4096, 65536] : [4096];

/** The newest kernel of each platform, and those before it where they answer otherwise. */
const targets = platforms.flatMap((platform) =>
  (versions[platform] as readonly string[]).flatMap((linux) =>
    pageSizes(platform).map((pageSize) => ({
      linux,
      isNewest: linux === versions[platform].at(-1),
      target: modelTarget(platform, pageSize as 4096 | 65536, linux),
    })),
  ),
);

const ERRNO = /\b(E[A-Z0-9]{2,}|Oops)\b/g;

/** sPAPR's own: elsewhere a positive number is a count, or a yes. */
const FAILS_POSITIVE = /REGISTER|sPAPR|what a device reaches|RLIMIT/;

/** The answers of a row that are failures, by name. */
function failuresOf({ section, row }: PlacedRow, answer: string): string[] {
  const names = [...answer.matchAll(ERRNO)].map(([, name]) => name ?? "");
  const isSpapr = /PowerNV|pSeries/.test(row[1].label) && FAILS_POSITIVE.test(section.call);
  const counts = isSpapr && isCount(answer) && !row[0].includes("CHECK_EXTENSION");
  return [...new Set([...names, ...(counts ? [POSITIVE] : [])])];
}

/** A bare number above 0 among the answers. */
function isCount(answer: string): boolean {
  return answer
    .split(";")[0]
    ?.split(", ")
    .some((one) => /^[1-9]\d*$/.test(one)) as boolean;
}

interface Named {
  readonly call: string;
  readonly answer: string;
  readonly checks: readonly string[];
}

function checksOf({ section, row }: PlacedRow): Named[] {
  return (rowChecks[section.call]?.[row[0]] ?? []).map((entry) => {
    const [, name = "", answer = "", checks = ""] = /^(.*) (\S+) (\S+)$/.exec(entry) ?? [];
    const call = callsNamed(name === "open group" ? "open" : name)[0];
    assert.ok(call !== undefined, `${row[0]}: ${entry}`);
    return { call, answer, checks: checks.split("|") };
  });
}

function platformOf(target: Target): Platform {
  return target.platform.startsWith("type1") ? "type1" : (target.platform as Platform);
}

/** The causes of the row's failing calls, as a trace of it shows them. */
function traced(placed: PlacedRow, target: Target, linux: string): Explanation[] {
  const lines: string[] = [];
  const recorded = {
    ...target,
    begin: (needs: Parameters<Target["begin"]>[0]) => {
      const machine = target.begin(needs);
      return Object.create(machine, { kernel: { value: recordTrace(machine.kernel, (line) => lines.push(line)) } });
    },
  };
  answerOf(placed, recorded);
  return [...explainTrace(readTrace(lines), { platform: platformOf(target), linux })];
}

const nameOf = ({ section, row }: PlacedRow) => `${section.call}: ${row[0]}`;

/** Rows that fail somewhere, each with the targets that it fails on. */
const failing = allRows.flatMap((placed) => {
  const on = targets.filter(
    ({ target, isNewest }) =>
      rowsOf(target).includes(placed) &&
      (isNewest || tellings(placed.row[3]).length > 1) &&
      failuresOf(placed, expectedOf(placed, target).answer).length > 0,
  );
  return on.length === 0 ? [] : [{ placed, on }];
});

const rows = suite("the failing rows of docs/conformance.md");

rows("each have their checks written down", () => {
  const without = failing.filter(({ placed }) => checksOf(placed).length === 0);
  const suggested = without.map(({ placed, on: [first] }) => {
    const found = first === undefined ? [] : traced(placed, first.target, first.linux);
    const entries = found
      .filter(({ answer }) => answer !== SUCCESS)
      .map(
        ({ call, answer, causes }) => `"${call.replace(/^VFIO_(IOMMU_)?(SPAPR_)?/, "")} ${answer} ${causes[0]?.check}"`,
      );
    return `${JSON.stringify(placed.section.call)}: ${JSON.stringify(placed.row[0])}: [${[...new Set(entries)].join(", ")}],`;
  });
  assert.is(
    suggested.join("\n"),
    "",
    "test/explain/row-checks.ts lacks rows; by what the judge takes for their checks",
  );
  assert.ok(failing.length >= 400, `${failing.length} failing rows`);
});

rows("have checks for each of their failing answers, and none that no row has", () => {
  for (const { placed, on } of failing) {
    const named = new Set(checksOf(placed).map(({ answer }) => answer));
    for (const { target } of on) {
      const answers = failuresOf(placed, expectedOf(placed, target).answer);
      assert.equal(
        answers.filter((answer) => !named.has(answer)),
        [],
        `${nameOf(placed)} on ${target.name}: ${answers}`,
      );
    }
  }
  const known = new Set(allRows.map(({ section, row }) => `${section.call}: ${row[0]}`));
  const strange = Object.entries(rowChecks).flatMap(([call, situations]) =>
    Object.keys(situations)
      .map((situation) => `${call}: ${situation}`)
      .filter((name) => !known.has(name)),
  );
  assert.equal(strange, []);
});

/** Rows whose source is not that of the check: it says why what came before went well, or stays. */
const OTHER_SOURCE: readonly string[] = [
  "in the window at 1 << 59, its first and last page",
  "1 MiB in 2 MiB pages: 512 of them",
  "half a map's memory was munmapped since: the map stays, and stays charged",
  "the second group of two before SET_IOMMU leaves",
];

/** Of each call and answer alone: the check is among the causes, and its source is where the row says that the rule stands. */
rows("name their check by call, answer and platform alone, and where the row has it from", () => {
  const missing: string[] = [];
  const elsewhere: string[] = [];
  let [first, all] = [0, 0];
  for (const { placed, on } of failing) {
    const [file = "", name = ""] = placed.row[2].where.split(": ");
    let isThere = false;
    for (const { target, linux } of on) {
      const platform = platformOf(target);
      const answers = failuresOf(placed, expectedOf(placed, target).answer);
      for (const { call, answer, checks } of checksOf(placed)) {
        if (!answers.includes(answer)) continue;
        const { causes } = explainCall(call, answer, { platform, linux });
        const rank = causes.findIndex(({ check }) => checks.includes(check)) + 1;
        if (rank === 0 && !isOtherwise(placed, answer, checks, target)) {
          missing.push(`${nameOf(placed)} on ${target.name}: ${call} ${answer} has no ${checks}`);
        }
        all++;
        if (rank === 1) first++;
        isThere ||= causes.some(({ source }) => source.includes(file) && new RegExp(`\\b${name}\\b`).test(source));
      }
    }
    if (!isThere && !OTHER_SOURCE.includes(placed.row[0])) elsewhere.push(`${nameOf(placed)}: ${placed.row[2].where}`);
  }
  assert.is([...new Set(missing)].join("\n"), "");
  assert.is([...new Set(elsewhere)].join("\n"), "");
  console.log(
    `  ${failing.length} failing rows of ${allRows.length}: all name their check; of ${all} answers ${first} name it first`,
  );
});

/** A row's call that answers so on some of its kernels only, as calls of a device whose numbers others have. */
function isOtherwise(placed: PlacedRow, answer: string, checks: readonly string[], target: Target): boolean {
  return checksOf(placed).some(
    (one) =>
      one.answer === answer &&
      !one.checks.some((check) => checks.includes(check)) &&
      explainCall(one.call, answer, { platform: platformOf(target) }).causes.some(({ check }) =>
        one.checks.includes(check),
      ),
  );
}

rows("name it first, where a trace of the row shows what was", () => {
  const wrong: string[] = [];
  let [first, all] = [0, 0];
  for (const { placed, on } of failing) {
    const named = checksOf(placed);
    for (const { target, linux } of on) {
      for (const { call, answer, causes } of traced(placed, target, linux)) {
        if (answer === SUCCESS) continue;
        const own = named.filter((one) => one.call === call && one.answer === answer).flatMap(({ checks }) => checks);
        const rank = causes.findIndex(({ check }) => own.includes(check)) + 1;
        all++;
        if (rank === 1) first++;
        if (rank !== 1 && causes[0]?.verdict === "sure")
          wrong.push(`${nameOf(placed)}: ${call} ${answer}: ${causes[0].check}, not ${own}`);
        if (rank === 0) wrong.push(`${nameOf(placed)} on ${target.name}: ${call} ${answer} has no ${own}`);
      }
    }
  }
  assert.is([...new Set(wrong)].join("\n"), "");
  const share = (100 * first) / all;
  console.log(`  ${all} failing calls were traced: ${share.toFixed(1)} % name their check first`);
  assert.ok(share > 85, `${share} %`);
});

rows.run();

const crash = suite("a crash");

crash("is an answer as others are", () => {
  assert.equal(
    explainCall("VFIO_IOMMU_MAP_DMA", CRASH, { platform: "pseries" }).causes.map(({ check }) => check),
    ["no-view", "past-the-end"],
  );
});

crash.run();
