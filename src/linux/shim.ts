/**
 * The native addon of `shim/`: found, loaded on first use, and explained when it is not there.
 */

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { DmaWindowError } from "../errors.ts";

/**
 * What the shim exports. It checks every argument itself (TypeError `ERR_INVALID_ARG_TYPE`, RangeError
 * `ERR_OUT_OF_RANGE`), so nothing is checked before it is called. Results as in {@link Syscalls}.
 */
export interface NativeShim {
  open(path: string): number;
  close(fd: number): number;
  ioctl(fd: number, call: number, argument: number): number;
  ioctlStruct(fd: number, call: number, memory: Uint8Array, offset: number): number;
  ioctlBatch(fd: number, memory: Uint8Array, table: number, count: number): number;
  mmap(address: bigint, length: bigint, protection: number, flags: number, hugePageShift: number): bigint;
  munmap(address: bigint, length: bigint): number;
  /** The memory itself, 1 byte to 4 GiB of it. Nobody frees it when the buffer is collected. */
  view(address: bigint, length: bigint): ArrayBuffer;
  /** The buffer has length 0 from then on. A TypeError for one that cannot be detached (a WebAssembly.Memory's). */
  detach(buffer: ArrayBuffer): void;
  /** Where the bytes of a buffer lie: of one that has any. */
  addressOf(buffer: ArrayBuffer): bigint;
  /** Bytes. */
  pageSize(): number;
  /** What the headers said that the shim was compiled with; for the tests. */
  layout(): ShimLayout;
}

/** Of `<linux/vfio.h>`, as the shim's compiler saw it. Sizes and offsets in bytes. */
export interface ShimLayout {
  /** By the struct's name; fields of a nested struct as `ddw.levels`. */
  readonly structs: Readonly<
    Record<string, { size: number; fields: Readonly<Record<string, { offset: number; size: number }>> }>
  >;
  /** By the name in VfioCall: the request as ioctl() takes it, and its distance from `VFIO_BASE`. */
  readonly calls: Readonly<Record<string, { request: number; distance: number }>>;
  /** IOMMU types, flags and capability ids by the header's own names. */
  readonly constants: Readonly<Record<string, number>>;
}

const functions: readonly (keyof NativeShim)[] = [
  "open",
  "close",
  "ioctl",
  "ioctlStruct",
  "ioctlBatch",
  "mmap",
  "munmap",
  "view",
  "detach",
  "addressOf",
  "pageSize",
  "layout",
];

// Both src/linux and dist/linux lie two directories below the package.
const builtShim = fileURLToPath(new URL("../../build/Release/vfio_shim.node", import.meta.url));
const installLog = fileURLToPath(new URL("../../build/shim-install.log", import.meta.url));

let loaded: NativeShim | undefined;

/**
 * The shim, loaded on the first call: the file that the environment variable `DMA_WINDOW_SHIM` names (an addon that was
 * cross-built), or else the one that installing the package built.
 *
 * Throws a {@link DmaWindowError} with code `ERR_SHIM_UNAVAILABLE` that says why it cannot be loaded and what to do. A
 * later call tries again.
 */
export function shim(): NativeShim {
  loaded ??= load();
  return loaded;
}

/** Whether {@link shim} would answer. Never throws. */
export function shimAvailable(): boolean {
  try {
    shim();
    return true;
  } catch {
    return false;
  }
}

function load(): NativeShim {
  if (process.platform !== "linux") {
    throw unavailable(`VFIO is part of Linux, and this is ${process.platform}.`, "Run this part on Linux.");
  }
  const chosen = process.env.DMA_WINDOW_SHIM;
  const path = chosen || builtShim;
  const remedy = chosen
    ? "Let DMA_WINDOW_SHIM name a vfio_shim.node that was built for this machine, or unset it."
    : "Install a compiler (on Debian: apt-get install g++ make python3), then run: npm rebuild dma-window " +
      "(in a checkout of dma-window itself: npm run install).";

  if (!existsSync(path)) {
    const why = chosen ? `DMA_WINDOW_SHIM names ${path}, which does not exist.` : `It has not been built: no ${path}.`;
    const log = !chosen && existsSync(installLog) ? ` What its build printed is in ${installLog}.` : "";
    throw unavailable(why, remedy + log);
  }
  let native: Partial<NativeShim>;
  try {
    native = createRequire(import.meta.url)(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw unavailable(`${path} cannot be loaded on this machine (${process.arch}): ${reason}.`, remedy, cause);
  }
  const absent = functions.filter((name) => typeof native[name] !== "function");
  if (absent.length > 0) {
    throw unavailable(`${path} is the shim of another version: it has no ${absent.join(", ")}.`, remedy);
  }
  return native as NativeShim;
}

function unavailable(why: string, remedy: string, cause?: unknown): DmaWindowError {
  return new DmaWindowError(
    "ERR_SHIM_UNAVAILABLE",
    `The real kernel is out of reach without the native shim. ${why} ${remedy} The software kernel, modelKernel(), works without it.`,
    cause === undefined ? {} : { cause },
  );
}
