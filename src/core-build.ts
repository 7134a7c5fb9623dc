/** Which build of the core this process runs, and its bytes. Needs nothing of Node: this runs in browsers too. */
import { fromBase64 } from "./base64.ts";
import { CORE_WASM } from "./core-wasm.ts";
import { coded } from "./errors.ts";
import { unpack } from "./unpack.ts";

/**
 * A build of the core, as its file is named: `core` with SIMD, `core.scalar` without. Both are in this package as text, so
 * that no file has to be found when a program is put into one bundle.
 */
export type CoreBuild = keyof typeof CORE_WASM;

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

/** Whether this engine runs SIMD: not where it runs no WebAssembly at all. */
export function engineHasSimd(): boolean {
  return typeof WebAssembly === "object" && WebAssembly.validate(SIMD_PROBE);
}

/**
 * The build for this process: what the environment variable `DMA_WINDOW_CORE` asks for (`simd` or `scalar`), and without
 * it the fastest that the engine runs.
 *
 * @throws RangeError `ERR_OUT_OF_RANGE` for another value of the variable.
 */
export function chooseBuild(wanted: string | undefined = wantedBuild()): CoreBuild {
  if (wanted === undefined || wanted === "") return engineHasSimd() ? "core" : "core.scalar";
  if (wanted === "simd") return "core";
  if (wanted === "scalar") return "core.scalar";
  const message = `the environment variable DMA_WINDOW_CORE must be unset, "simd" or "scalar"; got ${JSON.stringify(wanted)}`;
  throw coded(new RangeError(message), "ERR_OUT_OF_RANGE");
}

/** The variable's value; undefined also where there is no environment, and where a program may not read it (Deno asks). */
function wantedBuild(): string | undefined {
  try {
    return globalThis.process?.env.DMA_WINDOW_CORE;
  } catch {
    return undefined;
  }
}

/** The bytes of a build: without an argument, of the one for this process. */
export function readCore(build: CoreBuild = chooseBuild()): Uint8Array & { readonly buffer: ArrayBuffer } {
  const core = unpack(fromBase64(CORE_WASM.core));
  // Nearly all of it is the same.
  return build === "core" ? core : unpack(fromBase64(CORE_WASM[build]), core);
}
