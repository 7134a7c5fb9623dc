import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Telling, tellings } from "./drift.ts";
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
- "since 6.6": the answer of Linux 6.6 and later; what stands before it is that of older ones. "Since 7.3, 7.2.8, 6.12.113": of
  7.3 and later, and in the older series 7.2 and 6.12 from those releases on.
- \`start\`: where CREATE put the window. \`start_addr 0x77\`: the field was not written.
- **on**: where it is so. sPAPR TCE v2 is PowerNV (bare metal) and pSeries (an LPAR); type1 is x86 and Arm.
- **source**: file and function of Linux 6.12. (o): observed on a real kernel, in an emulated machine. (s): read in the source only.
  Where answers depend on the version, each has a mark of its own.
- **Real kernels alone**: the software kernel's programs have no pointers and no signals, and one way to map registers.
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
  card: "QEMU's e1000e, or a device of the software kernel's with the same BARs, is open, its group in a container that has its IOMMU.\n\n",
  port: "QEMU's NVMe controller behind a root port, or the software one on a bus with a bridge above it, is open, its group in a container that has its IOMMU.\n\n",
  device:
    "An NVMe controller (QEMU's, and the software kernel's) is open, its group in a container that has its IOMMU.\n\n",
};

/** A row as a line of its table. */
export function line(row: Row): string {
  const [situation, { label }, { how, where }, expected] = row;
  const all = tellings(expected);
  const answers = all.map((telling) => said(telling) + (all.length === 1 ? "" : ` ${mark(telling.how ?? how)}`));
  const cells = [situation + conditions(needsOf(row)), label, answers.join("; "), `\`${where}\` ${mark(how)}`];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function said({ answer, orCrash, since }: Telling): string {
  const from = since === undefined ? "" : `since ${since.join(", ")} `;
  return `${from}\`${answer}\`${orCrash ? ", or a crash" : ""}`;
}

function mark(how: Row[2]["how"]): string {
  return how === "observed" ? "(o)" : "(s)";
}

/** What is to be known beside the situation. */
function conditions({ limit, raw, signal }: Needs): string {
  if (raw === "memory" || signal) return " (real kernels alone)";
  if (limit === undefined) return "";
  return ` (RLIMIT_MEMLOCK ${"bytes" in limit ? size(limit.bytes) : `${limit.pages} pages`})`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(tableFile, table());
