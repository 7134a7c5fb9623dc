/** Programs of this folder, compiled, and run under the command as a user has it. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ExecStatus } from "../../src/exec/status.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const sources = fileURLToPath(new URL("programs/", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "dma-window-exec-"));
// Any user's, as a program is run by one.
chmodSync(folder, 0o777);
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const compiled = new Map<string, string>();

/** The file of a program. @throws Error with what the compiler said */
export function program(name: string): string {
  const known = compiled.get(name);
  if (known !== undefined) return known;
  const output = join(folder, name);
  const words = ["-Wall", "-O1", "-pthread", "-o", output, join(sources, `${name}.c`)];
  const { status, stderr } = spawnSync("cc", words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${name}.c was not compiled: ${stderr}`);
  compiled.set(name, output);
  return output;
}

export interface Report {
  readonly program: readonly string[];
  readonly exit: number | null;
  readonly signal: string | null;
  readonly platform: string;
  readonly linux: string;
  readonly calls: number;
  readonly findings: readonly {
    readonly kind: string;
    readonly message: string;
    readonly addresses: readonly { readonly va?: string; readonly iova?: string; readonly length: string }[];
    readonly calls: readonly string[];
    readonly stack: readonly string[];
  }[];
}

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
  readonly report: Report;
}

/** `dma-window exec OPTIONS -- WORDS`; what it reports is empty where it did not come so far. */
export function exec(
  options: readonly string[],
  words: readonly string[],
  { where = root, uid }: { readonly where?: string; readonly uid?: number } = {},
): Ran {
  const file = join(folder, "report.json");
  rmSync(file, { force: true });
  const args = [join(where, "dist/cli/main.js"), "exec", "--report", file, ...options, "--", ...words];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, args, {
    encoding: "utf8",
    timeout: 60_000,
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  if (error) throw error;
  const report = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Report) : nothing;
  return { code: status, out: stdout, err: stderr, report };
}

const nothing: Report = { program: [], exit: null, signal: null, platform: "", linux: "", calls: 0, findings: [] };

export function kindsIn({ report }: Ran): string[] {
  return [...new Set(report.findings.map(({ kind }) => kind))].sort();
}

/** Why nothing can be run here, if so: no compiler, no shim, no seccomp. A command that is broken is no reason. */
export function notHere(): string | undefined {
  if (process.platform !== "linux") return "not Linux";
  if (spawnSync("cc", ["--version"]).status !== 0) return "no C compiler";
  const { code, err } = exec([], ["true"]);
  return code === ExecStatus.UNAVAILABLE ? err : undefined;
}
