// A worker that gets and puts at random, with an owner word for each slot: whoever gets a slot that has an owner, or gives back one
// that has none, has found two owners. Some handles go through a mailbox, so that others put what this one got.
import { parentPort, workerData } from "node:worker_threads";

const { wasm, memory, self, seat, ticket, first, operations, seed, owners, mailbox, most, start, go } = workerData;
const { sharedJoin, sharedGet, sharedPut, sharedLeave } = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
  env: { memory },
}).exports;

let state = seed | 1;
function below(end) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % end;
}

const held = new Int32Array(most);
let count = 0;
let gets = 0;
let puts = 0;
let wrong = 0;

function take(handle) {
  const slot = (handle & 0x3fffff) - first;
  if (slot < 0 || slot >= owners.length || Atomics.compareExchange(owners, slot, 0, 1) !== 0) wrong++;
  held[count++] = handle;
  gets++;
}

function put(handle) {
  if (Atomics.compareExchange(owners, (handle & 0x3fffff) - first, 1, 0) !== 1) wrong++;
  if (sharedPut(self, handle) !== 0) wrong++;
  puts++;
}

if (sharedJoin(self, seat, ticket) !== 1) throw new Error("the ticket is not good");
Atomics.add(start, 0, 1);
Atomics.notify(start, 0);
while (Atomics.load(start, 0) < go) Atomics.wait(start, 0, go - 1, 10);

// In runs of random length, so that magazines fill and drain and the depot is used.
for (let done = 0; done < operations; ) {
  const run = 1 + below(128);
  if (below(2) === 0) {
    for (let i = 0; i < run && count < most; i++, done++) {
      const handle = sharedGet(self);
      if (handle < 0) break;
      take(handle);
    }
  } else {
    for (let i = 0; i < run && count > 0; i++, done++) {
      const at = below(count);
      const handle = held[at];
      held[at] = held[--count];
      const other = below(16) === 0 ? Atomics.exchange(mailbox, below(mailbox.length), handle) : handle;
      if (other !== 0) put(other);
    }
  }
  done++;
}
while (count > 0) put(held[--count]);
sharedLeave(self);
parentPort.postMessage({ gets, puts, wrong });
