// A device of one's own on the software kernel, and a driver for it under test.
import { deepEqual, equal } from "node:assert/strict";
import { MemsegTable, openContainer, planWindow } from "dma-window";
import { modelKernel } from "dma-window/model";

// It adds up bytes of memory. 0x00: their IOVA (8 bytes), 0x08: how many, 0x0c: go; 0x10: the sum, when vector 0 has come.
const adder = {
  facts: { vendor: 0x1234, device: 0xadd, class: 0x120000, bars: [{ index: 0, bytes: 4096 }], msix: { vectors: 1 } },
  plug(bus) {
    let iova = 0n;
    let length = 0;
    let sum = 0;
    return {
      read: (_bar, offset) => (offset === 0x10 ? sum : 0),
      write(_bar, offset, _width, value) {
        if (offset === 0x00) iova = value;
        if (offset === 0x08) length = value;
        if (offset === 0x0c) bus.later(add); // a device takes its time, and a reset ends what is under way
      },
      reset: () => {
        [iova, length, sum] = [0n, 0, 0];
      },
    };
    function add() {
      const bytes = new Uint8Array(length);
      const { fault } = bus.read(iova, bytes); // DMA: only as bus master, and through the IOMMU
      sum = fault === undefined ? bytes.reduce((all, byte) => all + byte, 0) : 0xffffffff;
      bus.raise(0);
    }
  },
};

const kernel = modelKernel({ platform: process.argv[2] ?? "type1", devices: [adder] });
const memory = new MemsegTable({ kernel });
const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1 << 30 });
const container = openContainer({ kernel, groups: [26] });
const window = container.createWindow(planWindow({ memory, info: container.info() }));
container.attach(memory);
const segment = memory.allocate(list, 1);
segment.bytes.set([1, 2, 3, 4]);

const device = container.device();
const bar = device.bar(0);
const done = device.irqs.msix(1).vector(0);
device.busMaster = true;
bar.write64(0x00, window.iovaOf(segment.va));
bar.write32(0x08, 4);
bar.write32(0x0c, 1);
for await (const count of done) {
  equal(count, 1);
  break;
}
equal(bar.read32(0x10), 10);
console.log(`the device says ${bar.read32(0x10)}`);
container.close();
memory.close();
deepEqual(kernel.leaks(), []);
