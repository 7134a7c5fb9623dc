/** Programs that run JavaScript, as npm's packages bring them: nothing is installed on the machine. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { cacheDirectory } from "../kernels/host.ts";

/** The major versions of Node that the package is for: README and package.json say the same. */
export const NODES = [20, 22, 24, 26] as const;

/** A program, and how a file is run with it. */
export interface Engine {
  readonly name: string;
  readonly command: string;
  /** What stands before the file. */
  readonly parameters: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** As it says itself. */
  readonly version: string;
}

/** By `process.arch`: what the packages call it. */
const architectures: Readonly<Record<string, { node: string; bun?: string; deno?: string }>> = {
  x64: { node: "linux-x64", bun: "linux-x64", deno: "linux-x64-glibc" },
  arm64: { node: "linux-arm64", bun: "linux-aarch64", deno: "linux-arm64-glibc" },
  ppc64: { node: "linux-ppc64le" },
};

/** The newest Node of a major version. @throws Error that says why there is none. */
export function node(major: number): Engine {
  const { node } = architectureOf("Node");
  const command = installed(`node-${major}`, `node-${node}@${major}`, `node-${node}/bin/node`);
  return { name: "Node", command, parameters: [], version: versionOf(command) };
}

/** Bun, whose engine is JavaScriptCore. @throws Error that says why there is none. */
export function bun(): Engine {
  const { bun } = architectureOf("Bun");
  if (bun === undefined) throw new Error(`Bun is not made for ${process.arch}`);
  const command = installed("bun", `@oven/bun-${bun}@1`, `@oven/bun-${bun}/bin/bun`);
  return { name: "Bun", command, parameters: [], version: versionOf(command) };
}

/** Deno, whose engine is V8. @throws Error that says why there is none. */
export function deno(): Engine {
  const { deno } = architectureOf("Deno");
  if (deno === undefined) throw new Error(`Deno is not made for ${process.arch}`);
  const command = installed("deno", `@deno/${deno}@2`, `@deno/${deno}/deno`);
  return { name: "Deno", command, parameters: ["run", "--allow-all", "--quiet"], version: versionOf(command) };
}

function architectureOf(what: string): { node: string; bun?: string; deno?: string } {
  const found = process.platform === "linux" ? architectures[process.arch] : undefined;
  if (found === undefined) throw new Error(`npm has no ${what} for ${process.platform} on ${process.arch}`);
  return found;
}

/** Installs a package into a directory of the cache, and gives the path of a program in it. What is there serves offline. */
export function installed(directory: string, wanted: string, program: string, ...more: readonly string[]): string {
  const at = join(cacheDirectory(), "engines", directory);
  const path = join(at, "node_modules", program);
  mkdirSync(at, { recursive: true });
  const options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--loglevel=error"];
  const { status, error, stderr } = spawnSync("npm", ["install", "--prefix", at, ...options, ...more, wanted], {
    cwd: at,
    encoding: "utf8",
  });
  if (existsSync(path)) {
    if (status !== 0) console.log(`${wanted} cannot be had now; the one in ${at} serves`);
    return path;
  }
  const why = error?.message ?? (stderr.trim() || `npm install ended with ${status}`);
  throw new Error(`${wanted} cannot be had from npm: ${why}`);
}

/** The version alone: Deno and Bun say more. */
export function versionOf(
  command: string,
  before: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): string {
  const { stdout, stderr, status, signal } = spawnSync(command, [...before, "--version"], {
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  const version = /\d+\.\d+\.\d+/.exec(stdout ?? "")?.[0];
  if (status !== 0 || version === undefined) throw new Error(`${command} does not run here: ${signal ?? stderr}`);
  return version;
}
