/**
 * The native addon of `shim/`: found, loaded on first use, and explained when it is not there.
 */

import { resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { argumentTypeError, DmaWindowError } from "../errors.ts";
import { warn } from "../warn.ts";
import { cutOff } from "./elf.ts";
import { isThere, mayNotRead } from "./permitted.ts";
import { builtIn, hiddenManifest, packageDirectory } from "./place.ts";
import { notAsListed, prebuiltIn, sumsIn } from "./prebuilt.ts";
import {
  damaged,
  noneHere,
  notLoaded,
  notThere,
  notWhole,
  otherVersion,
  type Problem,
  packageHidden,
  permissionDenied,
} from "./unavailable.ts";

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
  /** MPOL_BIND by mbind: pages that come later come from that node, 0 to 1023. */
  bindNode(address: bigint, length: bigint, node: number): number;
  /** 0 when every page is present and writable, or why one is not. */
  populate(address: bigint, length: bigint): number;
  /**
   * The memory itself, 1 byte to 4 GiB of it. Nobody frees it when the buffer is collected. An Error with code
   * `ERR_NO_EXTERNAL_BUFFERS` where the engine has no such buffers. `mark`, 8 bytes, gets the view's u64: no other one has it.
   */
  view(address: bigint, length: bigint, mark?: Uint8Array): ArrayBuffer;
  /** Whether an ArrayBuffer, in any thread, may still lead to the memory of the view with that mark. */
  isSeen(mark: bigint): boolean;
  /** The buffer has length 0 from then on. A TypeError for one that cannot be detached (a WebAssembly.Memory's). */
  detach(buffer: ArrayBuffer): void;
  /** A weak hand on a buffer, for {@link isCollected}. */
  weak(buffer: ArrayBufferLike): object;
  /** Whether the buffer of a weak hand is gone. Believes that it is one. */
  isCollected(weak: object): boolean;
  /** Has the engine collect garbage now, by telling it of so many bytes that its objects hold: 2^36 at most. */
  collect(bytes: number): void;
  /** Whether libuv has more than `most` requests in flight for this thread. Only where the engine's loop is libuv's. */
  isBusy(most: number): boolean;
  /**
   * What `list` gives, which is called while each stream (socket, pipe, terminal) that is open in this thread, and none that is
   * being closed, keeps it running: Node's list of handles has those that do. `undefined` where none is open; `null`: nobody can
   * say. Likewise.
   */
  openStreams<T>(list: () => T): T | undefined | null;
  /** Copies memory into the array, as much as that holds. */
  read(address: bigint, into: Uint8Array): void;
  /** Copies the array to memory. */
  write(address: bigint, from: Uint8Array): void;
  /** Where the bytes of a buffer lie: of one that has any. */
  addressOf(buffer: ArrayBuffer): bigint;
  /** Of a struct the kernel has a copy, and the array what it wrote there, if that is as long as it was by then. */
  ioctlLater(fd: number, call: number, struct: Uint8Array | undefined, argument: number): Promise<number>;
  pread(fd: number, into: Uint8Array, offset: bigint): number;
  pwrite(fd: number, from: Uint8Array, offset: bigint): number;
  /** Registers of a device by a handle, which this thread alone has; or -errno. ENOSYS on a processor that the shim knows no barriers of. */
  mapRegisters(fd: number, offset: bigint, length: number): number;
  /** 0 or -errno. `isSeen`, 0 or 1: something may still reach the memory, where ordinary pages lie then, the caller's. */
  unmapRegisters(registers: number, isSeen: number): number;
  /** Where they lie. */
  addressOfRegisters(registers: number): bigint;
  /** One access each, or -EIO. */
  readRegister8(registers: number, offset: number): number;
  readRegister16(registers: number, offset: number): number;
  readRegister32(registers: number, offset: number): number;
  readRegister64(registers: number, offset: number): bigint;
  writeRegister8(registers: number, offset: number, value: number): number;
  writeRegister16(registers: number, offset: number, value: number): number;
  writeRegister32(registers: number, offset: number, value: number): number;
  writeRegister64(registers: number, offset: number, value: bigint): number;
  eventfd(): number;
  takeEvents(fd: number): number;
  /** A listening by its number, which keeps the event loop alive, or -errno. */
  listen(fd: number, listener: (count: number) => void): number;
  /** Nothing for a number that has ended. */
  endListening(listening: number): void;
  /** Whether it keeps the event loop alive, 0 or 1. */
  holdLoop(listening: number, holds: number): void;
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
  ...(["open", "close", "ioctl", "ioctlStruct", "ioctlBatch", "mmap", "munmap", "bindNode", "populate"] as const),
  ...([
    "view",
    "detach",
    "isSeen",
    "isBusy",
    "openStreams",
    "weak",
    "isCollected",
    "collect",
    "read",
    "write",
    "addressOf",
  ] as const),
  ...(["ioctlLater", "pread", "pwrite", "mapRegisters", "unmapRegisters", "addressOfRegisters"] as const),
  ...(["readRegister8", "readRegister16", "readRegister32", "readRegister64"] as const),
  ...(["writeRegister8", "writeRegister16", "writeRegister32", "writeRegister64"] as const),
  ...(["eventfd", "takeEvents", "listen", "endListening", "holdLoop"] as const),
  ...(["pageSize", "layout"] as const),
];

/** The file that a program has named; it counts for more than the environment. */
let named: string | undefined;
let loaded: { readonly native: NativeShim; readonly path: string } | undefined;

/**
 * Names the shim's file, for all kernels of this process: in a bundle nobody else may know where it is. A path or a file URL.
 *
 * @throws TypeError `ERR_INVALID_ARG_TYPE`; DmaWindowError `ERR_SHIM_LOADED` when system calls were made through another file.
 */
export function useShim(file: string | { readonly href: string }): void {
  const text: unknown = typeof file === "string" ? file : (file as { href?: unknown } | null)?.href;
  const isUrl = typeof text === "string" && text.startsWith("file:");
  if (typeof text !== "string" || text === "" || (text !== file && !isUrl)) {
    throw argumentTypeError("shim", "a path or a file URL", file);
  }
  const path = isUrl ? fileURLToPath(text) : resolve(text);
  if (loaded !== undefined && loaded.path !== path) {
    const message = `shim names ${path}, and this process has made system calls through ${loaded.path}; name it before the first`;
    throw new DmaWindowError("ERR_SHIM_LOADED", message);
  }
  named = path;
}

/**
 * The shim, loaded on the first call: the file that {@link useShim} named, or the environment variable `DMA_WINDOW_SHIM` names
 * (an addon that was cross-built), or else the package's: one that was built on this machine, and then the prebuilt one. A built one
 * that does not load is passed over with a warning, `DMA_WINDOW_SHIM_PASSED_OVER`.
 *
 * Throws a {@link DmaWindowError} with code `ERR_SHIM_UNAVAILABLE` that says why it cannot be loaded and what to do, and names
 * the reason for programs (`facts.reason`). A later call tries again.
 */
export function shim(): NativeShim {
  loaded ??= load();
  return loaded.native;
}

/** The file that the shim was loaded from; undefined before the first call. */
export function loadedShim(): string | undefined {
  return loaded?.path;
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

/** Whether the shim loads, and which file it is or why there is none. For people: sentences. */
export interface ShimState {
  readonly loads: boolean;
  /** The file; `undefined` where none could be loaded. */
  readonly path: string | undefined;
  /** Who chose the file: a program, the environment variable `DMA_WINDOW_SHIM`, or nobody, so that it is the package's own. */
  readonly chosenBy: "program" | "environment" | "package";
  /** Why there is none, and what to do. */
  readonly why: string | undefined;
  readonly remedy: string | undefined;
}

/** Loads the shim, as the first system call would. Never throws. */
export function shimState(): ShimState {
  const chosenBy = named !== undefined ? "program" : process.env.DMA_WINDOW_SHIM ? "environment" : "package";
  try {
    shim();
    return { loads: true, path: loaded?.path, chosenBy, why: undefined, remedy: undefined };
  } catch (error) {
    const { facts } = error as DmaWindowError;
    const { why = String(error), remedy = "" } = (facts ?? {}) as { readonly why?: string; readonly remedy?: string };
    return { loads: false, path: undefined, chosenBy, why, remedy };
  }
}

/** A shim that was loaded, or why the file at `path` was not. */
interface Loaded {
  readonly native: NativeShim;
  readonly path: string;
}
interface Refused {
  readonly problem: Problem;
  readonly path: string;
  readonly cause?: unknown;
}

function load(): Loaded {
  if (process.platform !== "linux") {
    const why = `VFIO is part of Linux, and this is ${process.platform}.`;
    throw unavailable({ reason: "not-linux", why, remedy: "Run this part on Linux." });
  }
  const chosen = named ?? process.env.DMA_WINDOW_SHIM;
  if (chosen) return loadChosen(resolve(chosen));
  const home = packageDirectory();
  if (home !== undefined) return loadFrom(home);
  const hidden = hiddenManifest();
  if (hidden !== undefined) throw unavailable(packageHidden(hidden));
  throw unavailable({
    reason: "bundled",
    why: "This program was bundled, and no dma-window is installed where it runs.",
    remedy:
      "Install dma-window there, or hand the addon over: linuxKernel({ shim: path }), or DMA_WINDOW_SHIM=path. The path leads to " +
      "prebuilds/linux-.../vfio_shim.node of a dma-window, or to build/Release/vfio_shim.node of one that was built for this machine.",
  });
}

function loadChosen(path: string): Loaded {
  if (mayNotRead(path)) throw unavailable(permissionDenied(path, path));
  if (!isThere(path))
    throw unavailable(notThere(path, named === undefined ? "DMA_WINDOW_SHIM" : "linuxKernel({ shim })"));
  const found = loadFile(path, undefined);
  if ("problem" in found) throw unavailable(found.problem, found.cause);
  return found;
}

/** The first of the package's shims that loads. */
function loadFrom(home: string): Loaded {
  const prebuilt = prebuiltIn(home);
  const built = builtIn(home);
  const refused: Refused[] = [];
  for (const path of prebuilt === undefined ? [built] : [built, prebuilt]) {
    const hidden = (path === prebuilt ? [path, sumsIn(home)] : [path]).find(mayNotRead);
    if (hidden !== undefined) refused.push({ path, problem: permissionDenied(hidden, home) });
    if (hidden !== undefined || !isThere(path)) continue;
    const wrong = path === prebuilt ? notAsListed(home) : undefined;
    const found = wrong === undefined ? loadFile(path, home) : { path, problem: damaged(path, wrong, home) };
    if ("problem" in found) {
      refused.push(found);
      continue;
    }
    const [over] = refused.filter(({ problem }) => problem.reason !== "not-permitted");
    if (over) warn("DMA_WINDOW_SHIM_PASSED_OVER", `${over.problem.why} ${path}, which is prebuilt, is used instead.`);
    return found;
  }
  const [first, second] = refused;
  if (first === undefined) throw unavailable(noneHere(home, prebuilt ?? built));
  const also = second === undefined ? "" : ` ${second.problem.why}`;
  throw unavailable({ ...first.problem, why: first.problem.why + also }, first.cause);
}

/** `home` is given where the file is the package's own. */
function loadFile(path: string, home: string | undefined): Loaded | Refused {
  const end = cutOff(path);
  if (end !== undefined) return { path, problem: notWhole(path, end, home) };
  let native: Partial<NativeShim>;
  try {
    native = required(path);
  } catch (cause) {
    return { path, problem: notLoaded(path, cause, home), cause };
  }
  const absent = functions.filter((name) => typeof native[name] !== "function");
  if (absent.length > 0) return { path, problem: otherVersion(path, absent, home) };
  return { native: native as NativeShim, path };
}

/**
 * What require would give. It is asked for and not imported: bundlers make something of their own of createRequire, as soon as they
 * recognise it. Node before 20.16 cannot be asked; it opens the addon as require would have it opened.
 */
function required(path: string): Partial<NativeShim> {
  const module = process.getBuiltinModule?.("node:module");
  if (module !== undefined) return module.createRequire(path)(path);
  const addon: { exports: Partial<NativeShim> } = { exports: {} };
  process.dlopen(addon, path);
  return addon.exports;
}

function unavailable({ reason, why, remedy }: Problem, cause?: unknown): DmaWindowError {
  return new DmaWindowError(
    "ERR_SHIM_UNAVAILABLE",
    `The real kernel is out of reach without the native shim. ${why} ${remedy} The software kernel, modelKernel(), works without it.`,
    { facts: { reason, why, remedy }, ...(cause === undefined ? {} : { cause }) },
  );
}
