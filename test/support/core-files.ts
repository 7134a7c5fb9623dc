/** The builds of the core as their files are in dist/: those that the library has as text, and the one for tests. */
import { readFileSync } from "node:fs";
import type { CoreBuild } from "../../src/core.ts";

/** `core.asserts` has SIMD, and checks that a release leaves out. */
export type Build = CoreBuild | "core.asserts";

export const builds: readonly Build[] = ["core", "core.scalar", "core.asserts"];

export function coreFile(build: Build): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(`../../dist/${build}.wasm`, import.meta.url)));
}
