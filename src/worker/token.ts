/** What a thread is sent to open a pool that it shares. */

import type { AllocMemory } from "../alloc.ts";
import { argumentTypeError, DmaWindowError } from "../errors.ts";
import { readable } from "../inspect.ts";

/**
 * Opens a {@link SharedPool} in one worker of this process, once: `new Worker(file, { workerData: pool.token() })`, or by
 * `postMessage`, then `openSharedPool(token, { kernel })` there. A plain object; what is in it is the library's, but for `worker`.
 */
export interface SharedPoolToken {
  readonly kind: "dma-window.shared-pool";
  /** The number that the worker will have, for {@link SharedPool.recover}. */
  readonly worker: number;
  readonly memory: AllocMemory;
  readonly pool: number;
  readonly self: number;
  readonly seat: number;
  readonly ticket: number;
  readonly title: string;
}

const KIND = "dma-window.shared-pool";
/** The memory of the process that this program is: see `identity` of linuxKernel(). */
const LINUX = Symbol.for("dma-window.linux");

/** @throws `ERR_OTHER_MEMORY` for memory that no other thread can see, or of which nobody knows. */
export function checkSpace(space: unknown, what: string): void {
  if (space === LINUX) return;
  throw new DmaWindowError(
    "ERR_OTHER_MEMORY",
    `${what}: memory that other threads see is this process's own. Use linuxKernel(), or a software kernel with memory: linuxKernel(); simulated memory is one thread's`,
  );
}

/** @throws `ERR_INVALID_ARG_TYPE` for what is no token, or has lost its memory on the way, as in JSON or to another process. */
export function readToken(token: SharedPoolToken): SharedPoolToken {
  return readShared(token, KIND, "what token() of a SharedPool gave");
}

/** What has that kind, and shared memory. @throws likewise. */
export function readShared<Token extends { readonly kind: string; readonly memory: AllocMemory }>(
  token: Token,
  kind: Token["kind"],
  expected: string,
): Token {
  const given = (typeof token === "object" && token !== null ? token : {}) as Partial<Token>;
  if (given.kind !== kind) throw argumentTypeError("token", expected, token);
  const { memory } = given;
  const buffer: unknown = memory instanceof WebAssembly.Memory ? memory.buffer : undefined;
  if (typeof SharedArrayBuffer === "function" && buffer instanceof SharedArrayBuffer) return token;
  throw argumentTypeError("token.memory", "shared memory, as it is sent to a worker of the same process", memory);
}

export function makeToken(parts: Omit<SharedPoolToken, "kind">): SharedPoolToken {
  return readable({ kind: KIND, ...parts }, "SharedPoolToken", ({ title, worker }) => ({ title, worker }));
}
