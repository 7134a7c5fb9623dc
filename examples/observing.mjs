import { subscribe } from "node:diagnostics_channel";
import { MemsegTable, modelKernel, openContainer, planWindow } from "dma-window";

const kernel = modelKernel({ platform: "type1" });
const container = openContainer({ kernel, groups: [26] });
const memory = new MemsegTable({ kernel });
const list = memory.addList({ pageSize: 2 << 20, maxBytes: 64 << 20 });
const plan = planWindow({ memory, info: container.info() });
const window = container.createWindow(plan);
container.attach(memory, window);
const segment = memory.allocate(list, 2);

console.log(window);
console.log(segment);
console.log(plan.fullGrowth);

subscribe("dma-window:map", ({ by, maps }) => console.log("mapped for the", by, maps));
subscribe("dma-window:failure", ({ operation, error }) => console.log(operation, "threw", error.code));

const more = memory.allocate(list, 1);
try {
  window.unmap({ iova: 0n, length: 4096 });
} catch (error) {
  console.log(error.facts);
}

console.log(more.iova(window));
console.log(window.runs(segment.va + 512n, 3 << 20, { maxLength: 1 << 20, boundary: 1 << 20 }));

const iovas = new BigUint64Array(64);
const lengths = new Uint32Array(64);
console.log(window.runsInto(segment.va, segment.length, iovas, lengths, { maxLength: 65536 }), "entries");

const stop = new AbortController();
await memory
  .allocateAsync(list, 20, { signal: stop.signal, onProgress: ({ done }) => done < 40n << 20n || stop.abort() })
  .catch((error) => console.log(error.code, error.facts));
await memory.allocateAsync(list, 20);

console.log(container.leaks());
memory.free(segment);
container.close();
memory.close();
