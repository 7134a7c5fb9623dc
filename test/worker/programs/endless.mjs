// A worker that gets and puts until it is terminated. It joins by the ticket that it was made with.
import { parentPort, workerData } from "node:worker_threads";

const { wasm, memory, self, seat, ticket, seed, most } = workerData;
const { sharedJoin, sharedGet, sharedPut } = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
  env: { memory },
}).exports;

let state = seed | 1;
function below(end) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % end;
}

parentPort.postMessage("begun");
if (sharedJoin(self, seat, ticket) !== 1) throw new Error("the ticket is not good");
const held = [];
for (;;) {
  const run = 1 + below(100);
  if (below(2) === 0) {
    for (let i = 0; i < run && held.length < most; i++) {
      const handle = sharedGet(self);
      if (handle < 0) break;
      held.push(handle);
    }
  } else {
    for (let i = 0; i < run && held.length > 0; i++) {
      const at = below(held.length);
      const handle = held[at];
      held[at] = held.at(-1);
      held.pop();
      if (sharedPut(self, handle) !== 0) throw new Error(`handle ${handle} is refused`);
    }
  }
}
