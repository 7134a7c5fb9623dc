import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Needs, Row, Section } from "./row.ts";
import { sections } from "./rows/index.ts";
import { needsOf } from "./run-on.ts";
import { size } from "./words.ts";

/** Where the table stands. */
export const tableFile = fileURLToPath(new URL("../../docs/conformance.md", import.meta.url));

const introduction = `# What VFIO answers, and why it says no

Situation by situation, what Linux's VFIO answers to a program. Each line is a row of \`test/conformance/rows\`. Real kernels
were asked, and the library's software kernel is held to the same rows by the tests.

How to read a line:

- **answer**: what the calls of the situation return, in their order, calls that made the situation included. \`0\` is success. A
  name is an errno. **A positive number is a failure too**: 1 comes from an errno that became a truth value on its way, other
  numbers say how many pages could be pinned.
- \`VmLck +8 MiB\`: what counts against RLIMIT_MEMLOCK from then on (\`VmLck\` in \`/proc/self/status\`), since the row began or was
  last asked. Pages are the CPU's. \`stay charged\`: what was not given back when every descriptor was closed; only the end of the
  process does that.
- \`Oops\`: the kernel crashes in that call. "Or a crash": as chance will have it, there or later; memory that is not the table's
  is read and written.
- \`start\`: where CREATE put the window. \`start_addr 0x77\`: the field was not written.
- **on**: where it is so. sPAPR TCE v2 is PowerNV (bare metal) and pSeries (an LPAR); type1 is x86 and Arm.
- **source**: file and function of Linux 6.12. (o): observed on a real kernel, in an emulated machine. (s): read in the source only.
- A **zombie** is memory that was unregistered while mapped.

This file is made from the rows by \`node --import tsx test/conformance/table.ts\`.
`;

/** The whole of `docs/conformance.md`. */
export function table(): string {
  const calls = [...new Set(sections.map(({ call }) => call))];
  const parts = calls.map((call) => {
    const rows = sections.filter((section) => section.call === call).flatMap((section) => section.rows);
    return `## ${call}\n\n${heading(call)}| situation | on | answer | source |\n|---|---|---|---|\n${rows.map(line).join("\n")}\n`;
  });
  return [introduction, ...parts].join("\n");
}

/** What every row of a call begins with, where that is the same for all. */
function heading(call: string): string {
  const beginnings = new Set(sections.filter((section) => section.call === call).map(({ begin }) => begin));
  const [only, another] = beginnings;
  return only === undefined || another !== undefined ? "" : beginningWords[only];
}

const beginningWords: Record<Section["begin"], string> = {
  nothing: "",
  container: "A group is in a container that has its IOMMU, and nothing else was done.\n\n",
  registered: "A group is in a container that has its IOMMU, and 8 pages are registered.\n\n",
};

function line(row: Row): string {
  const [situation, { label }, { how, where }, answer] = row;
  const mark = how === "observed" ? "(o)" : "(s)";
  const needs = needsOf(row);
  const answers = needs.mayCrash ? `\`${answer}\`, or a crash` : `\`${answer}\``;
  const cells = [situation + conditions(needs), label, answers, `\`${where}\` ${mark}`];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

/** What is to be known beside the situation. */
function conditions({ limit, since }: Needs): string {
  const conditions: string[] = [];
  if (limit !== undefined) {
    conditions.push(`RLIMIT_MEMLOCK ${"bytes" in limit ? size(limit.bytes) : `${limit.pages} pages`}`);
  }
  if (since !== undefined) conditions.push(`since Linux ${since.join(".")}`);
  return conditions.length === 0 ? "" : ` (${conditions.join(", ")})`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(tableFile, table());
