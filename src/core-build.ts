/** Which build of the core this process runs, and its bytes. */
import { readFileSync } from "node:fs";

/**
 * A build of the core, as its file is named: `core` with SIMD, `core.scalar` without, `core.asserts` with SIMD and with
 * checks that a release leaves out, for tests.
 */
export type CoreBuild = "core" | "core.scalar" | "core.asserts";

/**
 * A module with one function, `() => i8x16.popcnt(i8x16.splat(0))`. An engine that knows SIMD accepts it, as long as it
 * can run it: V8 refuses v128 where the processor has no such registers.
 */
const SIMD_PROBE = new Uint8Array([
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
  ...[1, 5, 1, 0x60, 0, 1, 0x7b], // types: () -> v128
  ...[3, 2, 1, 0], // functions: one, of type 0
  ...[10, 10, 1, 8, 0, 0x41, 0, 0xfd, 15, 0xfd, 98, 11], // code: i32.const 0, i8x16.splat, i8x16.popcnt, end
]);

/** Whether this engine runs SIMD. */
export function engineHasSimd(): boolean {
  return WebAssembly.validate(SIMD_PROBE);
}

/**
 * The build for this process: what the environment variable `DMA_WINDOW_CORE` asks for (`simd` or `scalar`), and without
 * it the fastest that the engine runs.
 *
 * @throws RangeError `ERR_OUT_OF_RANGE` for another value of the variable.
 */
export function chooseBuild(wanted: string | undefined = process.env.DMA_WINDOW_CORE): "core" | "core.scalar" {
  if (wanted === undefined || wanted === "") return engineHasSimd() ? "core" : "core.scalar";
  if (wanted === "simd") return "core";
  if (wanted === "scalar") return "core.scalar";
  const message = `the environment variable DMA_WINDOW_CORE must be unset, "simd" or "scalar"; got ${JSON.stringify(wanted)}`;
  throw Object.assign(new RangeError(message), { code: "ERR_OUT_OF_RANGE" });
}

/** The bytes of a build: without an argument, of the one for this process. */
export function readCore(build: CoreBuild = chooseBuild()): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(`../dist/${build}.wasm`, import.meta.url)));
}
