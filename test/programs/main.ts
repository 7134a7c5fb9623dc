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
import type { Case, Judge, Verdict } from "./judged.ts";
import { qemu } from "./qemu.ts";
import { selftests } from "./selftests.ts";

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

const judges = [dpdk, selftests, qemu].filter(({ name }) => names.length === 0 || names.includes(name));
if (args.includes("--needs")) {
  const missing = judges.map((judge) => judge.needs()).flatMap((needs) => ("never" in needs ? [] : needs));
  process.stdout.write(`${[...new Set(missing)].join(" ")}\n`);
  process.exit();
}

const folder = mkdtempSync(join(tmpdir(), "dma-window-programs-"));
const before = growPool(32);
void run().finally(() => {
  restorePool(before);
  rmSync(folder, { recursive: true, force: true });
});

async function run(): Promise<void> {
  const programs: Judged[] = [];
  const why = forbidden();
  if (why === undefined) for (const judge of judges) programs.push(...(await judgeAll(judge)));
  else say(`no program can be supervised here, so none is: ${why}`);
  if (isJson) process.stdout.write(`${JSON.stringify({ programs }, null, 2)}\n`);
  const isWell = programs.every(({ unexplained, faults }) => unexplained.length === 0 && faults.length === 0);
  process.exitCode = isWell ? 0 : 1;
}

/** What the supervisor says where it cannot be one, as in a container that forbids it. */
function forbidden(): string | undefined {
  const { status, stderr } = spawnSync(process.execPath, [command, "exec", "--", "true"], { encoding: "utf8" });
  return status === ExecStatus.UNAVAILABLE ? stderr.trim() : undefined;
}

async function judgeAll(judge: Judge): Promise<Judged[]> {
  const needs = judge.needs();
  const absent = "never" in needs ? needs.never : needs.length > 0 ? `apt-get install ${needs.join(" ")}` : undefined;
  if (absent !== undefined) {
    say(`${judge.name} is not here: ${absent}`);
    return [];
  }
  const own = mkdtempSync(join(folder, "judge-"));
  const { name } = judge;
  const version = await judge.build(own, say);
  say(`${name}: ${version}`);
  const platforms = [...new Set(judge.cases.map(({ platform }) => platform))];
  return platforms.map((platform) => {
    const results = judge.cases.filter((one) => one.platform === platform).map((one) => judgeCase(judge, own, one));
    const cases = results.reduce((sum, one) => sum + one.cases, 0);
    const findings = results.flatMap(({ found }) => found);
    const unexplained = findings.filter(({ why }) => why === undefined);
    return { name, version, platform, cases, findings, unexplained, faults: results.flatMap((one) => one.faults) };
  });
}

interface Result {
  readonly cases: number;
  readonly found: readonly Found[];
  readonly faults: readonly string[];
}

function judgeCase(judge: Judge, own: string, one: Case): Result {
  const name = `${judge.name} ${one.platform} ${one.name}`;
  if (one.hugepages !== undefined && freePages() < one.hugepages) {
    say(`${name}: left out: it takes ${one.hugepages} free hugepages of 2 MiB`);
    return { cases: 0, found: [], faults: [] };
  }
  const report = join(own, "report.json");
  const devices = join(own, "devices.json");
  rmSync(report, { force: true });
  const options = ["--platform", one.platform, "--report", report];
  if (one.devices !== undefined) {
    writeFileSync(devices, JSON.stringify(one.devices));
    options.push("--devices", devices);
  }
  if (one.linux !== undefined) options.push("--linux", one.linux);
  const { status, stdout, stderr } = spawnSync(process.execPath, [command, "exec", ...options, "--", ...one.words], {
    cwd: own,
    encoding: "utf8",
    env: { ...process.env, ...one.environment },
    timeout: 120_000,
  });
  if (!existsSync(report))
    return { cases: 0, found: [], faults: [`${name}: no report (exit ${status}): ${stderr}${stdout}`] };
  const { findings } = JSON.parse(readFileSync(report, "utf8")) as { readonly findings: readonly Found[] };
  const found = findings.map(({ kind, message }) => {
    const known = judge.explanations.find(
      (each) => each.kind === kind && (each.cases?.test(name) ?? true) && (each.message?.test(message) ?? true),
    );
    return { case: one.name, kind, message, ...(known === undefined ? {} : { why: known.why }) };
  });
  const kinds = new Map<string, number>();
  for (const { kind } of found) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  const counts = [...kinds].map(([kind, count]) => `${kind} ${count}`);
  const verdict: Verdict = one.judge?.({ status, stdout, stderr }, own) ?? {
    cases: 1,
    words: "",
    known: [],
    faults: [],
  };
  say(
    `${name}: ${verdict.words}${verdict.words && "; "}${counts.length === 0 ? "nothing is found" : counts.join(", ")}`,
  );
  for (const each of found) if (each.why === undefined) say(`  not explained: ${each.kind}: ${each.message}`);
  for (const known of verdict.known) say(`  ${known}`);
  for (const fault of verdict.faults) say(`  not as on a real kernel: ${fault}`);
  const missing = one.known.filter((kind) => !kinds.has(kind));
  for (const kind of missing) say(`  not found, though it is there: ${kind}`);
  const faults = [...missing.map((kind) => `${kind} was not found`), ...verdict.faults];
  return { cases: verdict.cases, found, faults: faults.map((fault) => `${name}: ${fault}`) };
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
