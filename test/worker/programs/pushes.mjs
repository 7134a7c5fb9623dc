// A worker that pushes handles of a queue, all of them, at the same time as others push the same ones: from a random one on.
import { parentPort, workerData } from "node:worker_threads";
import { RemoteQueue } from "../../../dist/worker/remote.js";

const { buffer, room, count, start, workers, seed, control, endless } = workerData;
if (control) {
  // What the test has to find: a look and a store, and time in between.
  Atomics.compareExchange = (array, index, expected, wanted) => {
    const seen = array[index];
    for (let i = 0; i < 50; i++) Atomics.load(array, 0);
    if (seen === expected) array[index] = wanted;
    return seen;
  };
}
const queue = new RemoteQueue(room, buffer);
Atomics.add(start, 0, 1);
while (Atomics.load(start, 0) < workers) {}
parentPort.postMessage("begun");
let accepted = 0;
do {
  for (let i = 0; i < count; i++) {
    const index = (i + (endless ? seed : 0)) % count;
    if (queue.push(index, index + 1) === 0) accepted++;
  }
} while (endless);
parentPort.postMessage({ accepted });
