/**
 * Where the native addon lies that installing this package built: beside the package's own files, or, for a program that was put
 * into one bundle, in the package that is installed where the bundle runs.
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

/** The directory of this package; undefined for a bundle that runs where it is not installed. Never throws. */
export function packageDirectory(): string | undefined {
  const self = selfPath();
  // Both src/linux and dist/linux lie two directories below the package; a bundle may lie anywhere.
  const above = self && join(dirname(self), "../..");
  if (above && isOurs(above)) return above;
  for (const from of [self, process.argv[1]]) {
    const found = from && installedFor(resolve(from));
    if (found) return found;
  }
  return undefined;
}

/**
 * The file that this module is in. In a bundle of CommonJS `import.meta.url` is undefined, and there may be a `__filename`
 * instead; a bundler may also have made something else of either.
 */
function selfPath(): string | undefined {
  try {
    if (typeof import.meta.url === "string") return fileURLToPath(import.meta.url);
    return typeof __filename === "string" ? resolve(__filename) : undefined;
  } catch {
    return undefined;
  }
}

function isOurs(directory: string): boolean {
  try {
    return JSON.parse(readFileSync(join(directory, "package.json"), "utf8")).name === "dma-window";
  } catch {
    return false;
  }
}

/** As Node finds packages from a file: not from the working directory, where anybody may have put one. */
function installedFor(file: string): string | undefined {
  for (let at = dirname(file); ; at = dirname(at)) {
    const installed = join(at, "node_modules/dma-window");
    if (isOurs(installed)) return installed;
    if (at === dirname(at)) return undefined;
  }
}
