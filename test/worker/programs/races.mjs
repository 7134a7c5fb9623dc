// A worker that puts handles of a list, at the same time as others put the same ones.
import { parentPort, workerData } from "node:worker_threads";

const { wasm, memory, self, seat, ticket, handles, turn, workers, rounds } = workerData;
const { sharedJoin, sharedPut, sharedLeave } = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
  env: { memory },
}).exports;

if (sharedJoin(self, seat, ticket) !== 1) throw new Error("the ticket is not good");
let accepted = 0;
let refused = 0;
for (let round = 0; round < rounds; round++) {
  // All begin a round together: each counts itself, and waits for the others.
  Atomics.add(turn, round, 1);
  while (Atomics.load(turn, round) < workers) {}
  const handle = handles[round];
  if (sharedPut(self, handle) === 0) accepted++;
  else refused++;
}
sharedLeave(self);
parentPort.postMessage({ accepted, refused });
