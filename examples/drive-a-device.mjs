// A device, driven: registers, DMA through the window, interrupts. It is QEMU's edu, in software; with linuxKernel() a real one.
import { DmaHeap, edu, MemsegTable, modelKernel, openContainer, planWindow } from "dma-window";

const kernel = modelKernel({ platform: "type1", devices: [edu({ address: "0000:01:00.0" })] });
const memory = new MemsegTable({ kernel });
const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1n << 30n });
const container = openContainer({ kernel, devices: ["0000:01:00.0"] }); // its group, whichever that is
const window = container.createWindow(planWindow({ memory, info: container.info() }));
container.attach(memory);
const heap = new DmaHeap({ memory, list, window });
const [sent, got] = [heap.buffer(4096), heap.buffer(4096)];
sent.bytes.fill(42);

const device = container.device(); // reaches nothing yet
const bar = device.bar(0);
const interrupts = device.irqs.msi().vector(0)[Symbol.asyncIterator]();
device.busMaster = true; // now it reaches what is mapped in the window, and nothing else
async function move(source, destination, command) {
  bar.write64(0x80, source); // one access of 64 bits, after all that was written to memory before it
  bar.write64(0x88, destination);
  bar.write64(0x90, 4096n);
  bar.write64(0x98, command);
  await interrupts.next();
  console.log(`4096 bytes went from 0x${source.toString(16)} to 0x${destination.toString(16)}`);
}
await move(sent.iova, 0x40000n, 5n); // into the device's own buffer
await move(0x40000n, got.iova, 7n); // and back
console.log(`${got.bytes.filter((byte) => byte !== 42).length} of them are wrong`);

device.close(); // it is stopped first: interrupts off, bus mastering off, reset. Then what it could reach may go
for (const each of [sent, got, heap, container, memory]) each.close();
