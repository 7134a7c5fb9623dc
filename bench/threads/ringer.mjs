// @ts-check
/**
 * Writes an eventfd from another thread, as a device's interrupt would, and says when: one event after the other, each some time after the
 * last one was heard, so that whoever waits for it sleeps.
 */
import { writeSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";

/** @type {{ written: BigInt64Array, heard: Int32Array }} `heard`: events so far. */
const { written, heard } = workerData;
const one = new BigUint64Array([1n]);
const nobody = new Int32Array(new SharedArrayBuffer(4));

parentPort?.on("message", (/** @type {{ fd: number, count: number, apart: number }} */ { fd, count, apart }) => {
  for (let event = 0; event < count; event++) {
    for (let now = Atomics.load(heard, 0); now < event; now = Atomics.load(heard, 0)) Atomics.wait(heard, 0, now);
    Atomics.wait(nobody, 0, 0, apart);
    Atomics.store(written, 0, process.hrtime.bigint());
    writeSync(fd, one);
  }
});
