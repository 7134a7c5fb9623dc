// A worker that has a heap of its own in lent memory, and does what it is told.
import { parentPort, workerData } from "node:worker_threads";
import { linuxKernel, openHeap, openRemoteFree } from "../../../dist/index.js";
import { modelKernel } from "../../../dist/model/index.js";

let heap;
let kept;
const remotes = new Map();
const kernelOf = (kernel) => (kernel === "linux" ? linuxKernel() : modelKernel());
const does = {
  open: (token, options = {}, kernel = "linux") => {
    heap = openHeap(token, { kernel: kernelOf(kernel), ...options });
    return heap.loans;
  },
  add: (token) => {
    heap.add(token);
    return heap.loans;
  },
  stats: () => heap.stats,
  live: () => heap.liveCount,
  allocMany: (count, bytes) => Array.from({ length: count }, () => heap.alloc(bytes)),
  freeMany: (handles) => {
    for (const handle of handles) heap.free(handle);
  },
  places: (handles) => handles.map((handle) => [heap.vaOf(handle), heap.iovaOf(handle), heap.sizeOf(handle)]),
  fill: (handle, byte) => {
    heap.bytes(handle).fill(byte);
  },
  write: (handle, offset, bytes) => heap.write(handle, offset, bytes),
  read: (handle, offset, length) => {
    const into = new Uint8Array(length);
    heap.read(handle, offset, into);
    return Buffer.from(into).toString("hex");
  },
  pool: (size, count) => {
    const pool = heap.pool({ size, count });
    const handle = pool.get();
    pool.bytes(handle).fill(7);
    return [pool.vas[pool.slot(handle)], pool.iovas[pool.slot(handle)]];
  },
  buffer: (bytes) => {
    const { iova, length } = heap.buffer(bytes);
    return [iova, length];
  },
  alloc: (bytes) => heap.alloc(bytes),
  free: (handle) => heap.free(handle),
  trim: () => heap.trim(),
  close: (force = false) => heap.close({ force }),
  /** The memory of all that is shown here goes with this buffer; not on Node 20, which copies it. */
  moveAway: (handle) => {
    const { buffer } = heap.bytes(handle);
    kept = structuredClone(buffer, { transfer: [buffer] });
    return kept !== undefined && buffer.byteLength === 0;
  },
  drop: () => {
    kept = undefined;
  },
  /** Until it is terminated. Each block has an owner word in its first bytes. */
  storm: (seed) => {
    const live = [];
    let state = seed | 1;
    const below = (end) => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % end;
    };
    parentPort.postMessage({ id: -1 });
    for (;;) {
      const handle = live.length < 200 ? heap.tryAlloc(1 + below(5000)) : -1;
      if (handle > 0) {
        heap.bytes(handle).fill(seed & 255);
        live.push(handle);
      } else if (live.length > 0) {
        const at = below(live.length);
        heap.free(live[at]);
        live[at] = live.at(-1);
        live.pop();
      }
    }
  },
  remote: () => heap.remote(),
  openRemote: (name, token) => {
    remotes.set(name, openRemoteFree(token));
  },
  /** Gives the codes of those that are refused. `done` is told, for who does not come to its event loop. */
  freeRemote: (name, handles, done) => {
    const codes = [];
    for (const handle of handles) {
      try {
        remotes.get(name).free(handle);
      } catch (error) {
        codes.push(error.code);
      }
    }
    if (done) {
      Atomics.add(done, 0, 1);
      Atomics.notify(done, 0);
    }
    return codes;
  },
  /** Does not come to its event loop for so long. */
  sleep: (milliseconds) => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  },
  remoteErrors: () => heap.remoteErrors.map(({ code }) => code),
};

parentPort.on("message", async ({ id, name, args }) => {
  try {
    const answer = await does[name](...args);
    parentPort.postMessage({ id, answer });
  } catch (error) {
    parentPort.postMessage({ id, code: error.code, message: error.message });
  }
});
if (workerData) parentPort.postMessage({ id: 0, answer: does.open(workerData) });
