// A worker that opens a shared pool, and does what it is told.
import { parentPort, workerData } from "node:worker_threads";
import { linuxKernel, openSharedPool } from "../../../dist/index.js";
import { modelKernel } from "../../../dist/model/index.js";

let pool;
let kept;
const does = {
  open: (token, kernel = "linux") => {
    pool = openSharedPool(token, { kernel: kernel === "linux" ? linuxKernel() : modelKernel() });
    return pool.worker;
  },
  fill: (handle, byte) => {
    pool.bytes(handle).fill(byte);
  },
  copyIn: (handle, offset, bytes) => pool.write(handle, offset, bytes),
  copyOut: (handle, offset, length) => {
    const into = new Uint8Array(length);
    pool.read(handle, offset, into);
    return Buffer.from(into).toString("hex");
  },
  read: (handle) => Buffer.from(pool.bytes(handle)).toString("hex"),
  iova: (handle) => pool.iovas[pool.slot(handle)],
  getMany: (count) => {
    const handles = new Int32Array(count);
    return handles.slice(0, pool.getMany(handles));
  },
  waitAndGet: async () => {
    await pool.available();
    return pool.get();
  },
  /** The memory of all that the pool shows here goes with this buffer; not on Node 20, which copies it. */
  moveAway: (handle) => {
    const { buffer } = pool.bytes(handle);
    kept = structuredClone(buffer, { transfer: [buffer] });
    return kept !== undefined && buffer.byteLength === 0;
  },
  drop: () => {
    kept = undefined;
  },
  spin: () => {
    for (;;) pool.put(pool.get());
  },
};

parentPort.on("message", async ({ id, name, args }) => {
  try {
    const answer = await (does[name] ? does[name](...args) : pool[name](...args));
    parentPort.postMessage({ id, answer });
  } catch (error) {
    parentPort.postMessage({ id, code: error.code, message: error.message });
  }
});
if (workerData) parentPort.postMessage({ id: 0, answer: does.open(workerData) });
