/** docs/explain.md with what its commands print. `npx tsx test/explain/explain-page.ts` writes it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { explainCommand } from "../../src/cli/explain.ts";
import type { ExplainLine } from "../../src/cli/explain-line.ts";
import { parseCommandLine } from "../../src/cli/options.ts";
import { modelKernel } from "../../src/model/index.ts";
import { Tape } from "../trace/tape.ts";

export const PAGE = fileURLToPath(new URL("../../docs/explain.md", import.meta.url));

const GiB = 1n << 30n;

const log = [
  "EAL: Detected 16 lcore(s)",
  "EAL:   cannot set up DMA remapping, error 12 (Cannot allocate memory)",
  "EAL: 0000:44:00.3 VFIO group is not viable! Not all devices in IOMMU group bound to VFIO or unbound",
  "EAL: 0000:44:00.2 VFIO group is not viable! Not all devices in IOMMU group bound to VFIO or unbound",
];

/** A small program that maps too much, in `folder`. */
export function writeFiles(folder: string): void {
  const tape = new Tape(modelKernel({ platform: "powernv" })).start(["/dev/vfio/26"]);
  const va = tape.mmap(2);
  tape.register(va, 8192n);
  tape.create(12, GiB);
  tape.create(40, GiB);
  tape.register(va + 1n, 8192n);
  writeFileSync(join(folder, "run.jsonl"), tape.lines.map((line) => `${line}\n`).join(""));
  writeFileSync(join(folder, "app.log"), log.map((line) => `${line}\n`).join(""));
}

/** `dma-window explain ...` as it stands in the page: exit code and what it prints. */
export function explained(line: string, folder: string): { readonly code: number; readonly out: string } {
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");
  const args = words.slice(1).map((word) => (/\.(log|jsonl)$/.test(word) ? join(folder, word) : word));
  const printed: string[] = [];
  const code = explainCommand(parseCommandLine(args) as ExplainLine, (text) => printed.push(text));
  return { code, out: printed.join("\n").trimEnd() };
}

export function page(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "dma-window-"));
  try {
    writeFiles(folder);
    return text.replaceAll(/```console\n\$ (.*)\n(?:[^`].*\n|\n)*?```/g, (_, line: string) => {
      return `\`\`\`console\n$ ${line}\n${explained(line, folder).out}\n\`\`\``;
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(PAGE, page(readFileSync(PAGE, "utf8")));
