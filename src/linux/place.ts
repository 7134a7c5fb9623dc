/**
 * Where the native addon lies: in this package, beside its own files, or, for a program that was put into one bundle, in the package
 * that is installed where the bundle runs. Never where the program happens to be run.
 */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { mayNotRead } from "./permitted.ts";

/** This module is so many directories below its package at most: in src/linux, in dist/linux, or in a part of lib/. */
const LEVELS = 3;

/** The directory of this package; undefined for a bundle that runs where it is not installed. Never throws. */
export function packageDirectory(): string | undefined {
  const self = selfPath();
  const around = self && packageAround(self);
  if (around) return around;
  for (const from of [self, process.argv[1]]) {
    const found = from && installedFor(resolve(from));
    if (found) return found;
  }
  return undefined;
}

/** Where {@link packageDirectory} found nothing: the file that would say so of a package around this module, and may not be read. */
export function hiddenManifest(): string | undefined {
  const self = selfPath();
  return self && directoriesAround(self).map(manifestIn).find(mayNotRead);
}

/** The package that a file is part of. A bundle may lie anywhere, and be part of another one. */
function packageAround(file: string): string | undefined {
  return directoriesAround(file).find(isOurs);
}

function directoriesAround(file: string): string[] {
  const directories = [dirname(file)];
  while (directories.length < LEVELS) directories.push(dirname(directories.at(-1) as string));
  return directories;
}

/** Where a shim lies that was built on this machine, by the package in `home`: by shim/build.mjs. */
export function builtIn(home: string): string {
  return join(home, "build/Release/vfio_shim.node");
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

function manifestIn(directory: string): string {
  return join(directory, "package.json");
}

function isOurs(directory: string): boolean {
  try {
    return JSON.parse(readFileSync(manifestIn(directory), "utf8")).name === "dma-window";
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
