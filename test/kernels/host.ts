/** What this machine must have, and where things are kept. */
import { accessSync, constants, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import type { Architecture } from "./guests.ts";

/** Programs that are run here, and the Debian package that each is from. */
const tools: Readonly<Record<string, string>> = {
  "qemu-system-ppc64": "qemu-system-ppc",
  "qemu-system-x86_64": "qemu-system-x86",
  "qemu-system-aarch64": "qemu-system-arm",
  "powerpc64le-linux-gnu-g++": "g++-powerpc64le-linux-gnu",
  "aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu",
  "g++": "g++",
  xz: "xz-utils",
  zstd: "zstd",
};

/** What the packages are signed with. */
const keyring = { path: "/usr/share/keyrings/debian-archive-keyring.gpg", package: "debian-archive-keyring" };

export interface Host {
  readonly platform: string;
  /** The text of /etc/os-release; empty where there is none. */
  readonly osRelease: string;
  /** Whether a program can be found. */
  has(program: string): boolean;
  /** Whether a file can be read. */
  reads(path: string): boolean;
}

export function thisHost(): Host {
  let osRelease = "";
  try {
    osRelease = readFileSync("/etc/os-release", "utf8");
  } catch {
    // Another system: it is not Debian, which is what is asked.
  }
  const path = (process.env.PATH ?? "").split(delimiter);
  return {
    platform: process.platform,
    osRelease,
    has: (program) => path.some((directory) => can(join(directory, program), constants.X_OK)),
    reads: (file) => can(file, constants.R_OK),
  };
}

/** Why the guests cannot be built on such a machine at all; `undefined` where they can. */
export function whyNot(host: Host): string | undefined {
  if (host.platform !== "linux") return `the guests are built from Debian's packages, and this is ${host.platform}`;
  for (const program of ["apt-get", "apt-cache", "dpkg-deb", "tar"]) {
    if (!host.has(program)) return `the guests are built from Debian's packages, and there is no ${program} here`;
  }
  if (!/^ID(_LIKE)?="?.*\bdebian\b/m.test(host.osRelease)) {
    return "the guests are built from Debian's packages, and this machine does not say that it is Debian";
  }
  return undefined;
}

/** Packages to install first, for guests of these architectures, in the order of the alphabet. */
export function missingPackages(host: Host, architectures: readonly Architecture[]): string[] {
  const programs = new Set(["xz", "zstd", ...architectures.flatMap(({ qemu, compiler }) => [qemu, compiler])]);
  const missing = [...programs].filter((program) => !host.has(program)).map((program) => tools[program] ?? program);
  if (!host.reads(keyring.path)) missing.push(keyring.package);
  return missing.sort();
}

export function installLine(packages: readonly string[]): string {
  return `apt-get update && apt-get install -y --no-install-recommends ${packages.join(" ")}`;
}

/** Everything that is downloaded or built: `DMA_WINDOW_CACHE`, or `~/.cache/dma-window`. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment.DMA_WINDOW_CACHE) return environment.DMA_WINDOW_CACHE;
  return join(environment.XDG_CACHE_HOME || join(homedir(), ".cache"), "dma-window");
}

function can(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}
