// Memory of this machine through the shim: taken, written by a view and by copying, given back, again and again; and one view that
// is still open when the process ends.
import { linuxKernel, MemsegTable } from "dma-window";

const kernel = linuxKernel();
const memory = new MemsegTable({ kernel });
const list = memory.addList({ pageSize: kernel.pageSize, maxBytes: 64 * kernel.pageSize });
let sum = 0;
for (let round = 1; round <= 100; round++) {
  const segment = memory.allocate(list, 3);
  segment.bytes.fill(round);
  sum += segment.bytes.reduce((total, byte) => total + byte, 0) / segment.bytes.length;
  memory.free(segment);
}
console.log(`100 rounds, ${sum}`);

const table = new MemsegTable({ kernel });
const last = table.allocate(table.addList({ pageSize: kernel.pageSize, maxBytes: kernel.pageSize }), 1);
last.bytes[0] = 42;
console.log(`a view is open: ${last.bytes[0]}`);
