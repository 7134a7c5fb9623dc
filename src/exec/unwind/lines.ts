import { spawnSync } from "node:child_process";

/** A function, and a line of its source; of one that was inlined another one lies around it. */
export interface SourceLine {
  readonly name: string;
  /** `FILE:LINE`. */
  readonly place: string;
}

/** For one file, in milliseconds; and for all together: the program waits meanwhile. */
const PATIENCE = 3000;
const PATIENCE_IN_ALL = 15_000;
const OUTPUT_BYTES = 1 << 20;

/** Asks `addr2line` (binutils) for lines of source, where it is installed. */
export class SourceLines {
  #left = PATIENCE_IN_ALL;
  /** Files that it took too long for, or failed on. */
  readonly #hopeless = new Set<string>();

  /** For each address of a file what it lies in, what was inlined first. Empty where nobody knows. */
  at(file: string, addresses: readonly bigint[]): readonly (readonly SourceLine[])[] {
    const unknown = addresses.map(() => []);
    if (this.#left <= 0 || this.#hopeless.has(file) || !file.startsWith("/")) return unknown;
    const words = ["-a", "-f", "-i", "-C", "-e", file, ...addresses.map((address) => `0x${address.toString(16)}`)];
    const begun = performance.now();
    const { stdout, status, error } = spawnSync("addr2line", words, {
      encoding: "utf8",
      // A build of it that looks for debug information in the network is not let to.
      env: { PATH: process.env.PATH, LC_ALL: "C" },
      stdio: ["ignore", "pipe", "ignore"],
      timeout: Math.min(PATIENCE, this.#left),
      killSignal: "SIGKILL",
      maxBuffer: OUTPUT_BYTES,
    });
    this.#left -= performance.now() - begun;
    if (error !== undefined && "code" in error && error.code === "ENOENT") this.#left = 0;
    const found = status === 0 ? linesIn(stdout) : [];
    if (found.length === addresses.length) return found;
    this.#hopeless.add(file);
    return unknown;
  }
}

/**
 * What `addr2line -a -f -i` writes:
 *
 *     0x0000000000001139
 *     inner
 *     /src/a.c:12 (discriminator 1)
 *     main
 *     /src/a.c:30
 */
export function linesIn(text: string): SourceLine[][] {
  const found: SourceLine[][] = [];
  const lines = text.trimEnd().split("\n");
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? "";
    if (/^0x[0-9a-f]{16}$/.test(line)) {
      found.push([]);
      continue;
    }
    const place = (lines[++at] ?? "").replace(/ \(discriminator \d+\)$/, "");
    if (line !== "??" || !place.startsWith("??")) found.at(-1)?.push({ name: line, place });
  }
  return found;
}
