/**
 * Programs that others wrote, on the software kernel: `npm run test:programs`, `-- --json`, `-- DPDK`; `-- --needs` names Debian's
 * packages that are missing.
 *
 * It fails where something is found that nobody has explained, where what is known to be there is not found, or a program does not run.
 * A program that is not installed is left out, and so are all of them where none can be supervised, with a word.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ExecStatus } from "../../src/exec/status.ts";
import { dpdk } from "./dpdk.ts";
import type { Case, Judge } from "./judged.ts";
import { qemu } from "./qemu.ts";

const command = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const POOL = "/sys/kernel/mm/hugepages/hugepages-2048kB";

interface Found {
  readonly case: string;
  readonly kind: string;
  readonly message: string;
  /** Absent where nobody has explained it. */
  readonly why?: string;
}

interface Judged {
  readonly name: string;
  readonly version: string;
  readonly platform: string;
  readonly cases: number;
  readonly findings: readonly Found[];
  readonly unexplained: readonly Found[];
  /** Cases that did not run, or in which something that is known was not found. */
  readonly faults: readonly string[];
}

const args = process.argv.slice(2);
const isJson = args.includes("--json");
const names = args.filter((word) => !word.startsWith("-"));
const say = (text: string) => (isJson ? process.stderr : process.stdout).write(`${text}\n`);

const judges = [dpdk, qemu].filter(({ name }) => names.length === 0 || names.includes(name));
if (args.includes("--needs")) {
  const missing = judges.filter((judge) => "absent" in judge.version()).flatMap(({ packages }) => packages);
  process.stdout.write(`${missing.join(" ")}\n`);
  process.exit();
}

const folder = mkdtempSync(join(tmpdir(), "dma-window-programs-"));
const programs: Judged[] = [];
const before = growPool(32);
try {
  const why = forbidden();
  if (why === undefined) for (const judge of judges) programs.push(...judgeAll(judge));
  else say(`no program can be supervised here, so none is: ${why}`);
} finally {
  restorePool(before);
  rmSync(folder, { recursive: true, force: true });
}
if (isJson) process.stdout.write(`${JSON.stringify({ programs }, null, 2)}\n`);
const isWell = programs.every(({ unexplained, faults }) => unexplained.length === 0 && faults.length === 0);
process.exitCode = isWell ? 0 : 1;

/** What the supervisor says where it cannot be one, as in a container that forbids it. */
function forbidden(): string | undefined {
  const { status, stderr } = spawnSync(process.execPath, [command, "exec", "--", "true"], { encoding: "utf8" });
  return status === ExecStatus.UNAVAILABLE ? stderr.trim() : undefined;
}

function judgeAll(judge: Judge): Judged[] {
  const about = judge.version();
  if ("absent" in about) {
    say(`${judge.name} is not here: ${about.absent}`);
    return [];
  }
  const program = judge.build(folder);
  const platforms = [...new Set(judge.cases.map(({ platform }) => platform))];
  return platforms.map((platform) => {
    const cases = judge.cases.filter((one) => one.platform === platform);
    const results = cases.map((one) => judgeCase(judge, program, one));
    const findings = results.flatMap(({ found }) => found);
    const unexplained = findings.filter(({ why }) => why === undefined);
    const faults = results.flatMap((one) => one.faults);
    const { name } = judge;
    return { name, version: about.version, platform, cases: cases.length, findings, unexplained, faults };
  });
}

function judgeCase(judge: Judge, program: string, one: Case): { readonly found: Found[]; readonly faults: string[] } {
  const name = `${judge.name} ${one.platform} ${one.name}`;
  if (one.hugepages !== undefined && freePages() < one.hugepages) {
    say(`${name}: left out: it takes ${one.hugepages} free hugepages of 2 MiB`);
    return { found: [], faults: [] };
  }
  const file = join(folder, "report.json");
  rmSync(file, { force: true });
  const options = ["--platform", one.platform, ...(one.options?.(folder) ?? []), "--report", file];
  const words = [command, "exec", ...options, "--", program, ...one.words];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8", timeout: 120_000 });
  if (!existsSync(file)) return { found: [], faults: [`${name}: no report (exit ${status}): ${stderr}${stdout}`] };
  const report = JSON.parse(readFileSync(file, "utf8")) as { readonly findings: readonly Found[] };
  const found = report.findings.map(({ kind, message }) => {
    const known = judge.explanations.find((each) => each.kind === kind && (each.cases?.test(name) ?? true));
    return { case: one.name, kind, message, ...(known === undefined ? {} : { why: known.why }) };
  });
  const kinds = new Map<string, number>();
  for (const { kind } of found) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const counts = [...kinds].map(([kind, count]) => `${kind} ${count}`);
  say(`${name}: ${counts.length === 0 ? "nothing is found" : counts.join(", ")}`);
  for (const each of found) if (each.why === undefined) say(`  not explained: ${each.kind}: ${each.message}`);
  const missing = one.known.filter((kind) => !kinds.has(kind));
  for (const kind of missing) say(`  not found, though it is there: ${kind}`);
  const fault = one.fault?.({ status, stdout }, folder);
  if (fault !== undefined) say(`  ${fault}`);
  const faults = missing.map((kind) => `${kind} was not found`);
  return { found, faults: [...faults, ...(fault === undefined ? [] : [fault])].map((each) => `${name}: ${each}`) };
}

function freePages(): number {
  return existsSync(POOL) ? Number(readFileSync(`${POOL}/free_hugepages`, "latin1")) : 0;
}

/** As many free hugepages as the cases need, where this may be set: how many there were, if they were made more. */
function growPool(pages: number): number | undefined {
  const lacking = pages - freePages();
  if (lacking <= 0 || !existsSync(POOL)) return undefined;
  const all = Number(readFileSync(`${POOL}/nr_hugepages`, "latin1"));
  try {
    writeFileSync(`${POOL}/nr_hugepages`, String(all + lacking));
    return all;
  } catch {
    return undefined;
  }
}

function restorePool(pages: number | undefined): void {
  if (pages !== undefined) writeFileSync(`${POOL}/nr_hugepages`, String(pages));
}
