/** What is wanted of a package, unpacked. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";

/** Nothing that is unpacked, packed or compiled here takes as long. */
const LIMIT_MS = 300_000;

const HALF_DONE = /^(coming|unpacking)-/;
const HOUR_MS = 3_600_000;

/** Unpacks those files of a package that match one of tar's patterns. @throws Error */
export function unpack(deb: string, into: string, ...patterns: readonly string[]): void {
  mkdirSync(into, { recursive: true });
  const archive = output("dpkg-deb", ["--fsys-tarfile", deb]);
  output("tar", ["-x", "-C", into, "--no-same-owner", "--wildcards", ...patterns], archive);
}

/** What a program prints, as bytes. @throws Error with what it complained of. */
export function output(program: string, args: readonly string[], input?: Uint8Array): Buffer {
  const options = { input, maxBuffer: 2 ** 31, timeout: LIMIT_MS, killSignal: "SIGKILL" } as const;
  const { status, stdout, stderr, error } = spawnSync(program, args, options);
  if (status === 0) return stdout;
  throw new Error(
    `${program} ${args.join(" ")}: ${error?.message ?? stderr.toString().trim().split("\n").slice(-3).join("; ")}`,
  );
}

/** A directory below `parent` for what is half done, as long as `work` takes; {@link sweep} removes those of runs that were killed. */
export function inPassing<T>(parent: string, what: "coming" | "unpacking", work: (directory: string) => T): T {
  mkdirSync(parent, { recursive: true });
  const directory = mkdtempSync(join(parent, `${what}-`));
  try {
    return work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Puts a directory that is ready in its place, unless another run of the harness was faster. */
export function settle(made: string, at: string, isThere: () => boolean): void {
  if (isThere()) return;
  rmSync(at, { recursive: true, force: true });
  renameSync(made, at);
}

/** Removes what runs that were killed left half done. */
export function sweep(directory: string): void {
  for (const name of existsSync(directory) ? readdirSync(directory) : []) {
    const path = join(directory, name);
    if (HALF_DONE.test(name) && Date.now() - statSync(path).mtimeMs > HOUR_MS) rmSync(path, { recursive: true });
  }
}

/** The first file below a directory whose name begins so. @throws Error */
export function find(below: string, name: string): string {
  const found = firstIn(below, name);
  if (found === undefined) throw new Error(`no file ${name} in what was unpacked: the package is not what it was`);
  return found;
}

export function isIn(below: string, name: string): boolean {
  return firstIn(below, name) !== undefined;
}

function firstIn(below: string, name: string): string | undefined {
  for (const found of readdirSync(below, { withFileTypes: true, recursive: true })) {
    if (found.isFile() && found.name.startsWith(name)) return join(found.parentPath, found.name);
  }
  return undefined;
}
