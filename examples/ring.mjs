// A ring of 1,024 descriptors and packets of 2 KiB, as a network driver has them. Data moves both ways while the heap grows
// eightfold, and no address that the device knows changes. Runs anywhere: the kernel is the software one.
import { DmaHeap, MemsegTable, modelKernel, openContainer, planWindow } from "dma-window";

const platform = process.argv[2] ?? "powernv"; // or pseries, type1, noiommu
const noIommu = platform === "noiommu";

const kernel = modelKernel({ platform }); // on a machine with VFIO: linuxKernel(), and the groups of your devices
const memory = new MemsegTable({ kernel, physical: noIommu });
const list = memory.addList({ pageSize: 2 << 20, maxBytes: 64 << 20 });
const container = openContainer({ kernel, groups: [26], noIommu });
const window = container.createWindow(planWindow({ memory, info: container.info(), growTo: 64n << 30n })); // once
container.attach(memory);

const heap = new DmaHeap({ memory, list, window, name: "ring", grow: { low: 1 << 20 } }); // grows before it is empty
const RING = 1024;
const PACKET = 2048;
const descriptors = heap.buffer(RING * 16, { align: 4096 });
const { buffer, byteOffset } = descriptors.bytes;
const ring = new BigUint64Array(buffer, byteOffset, RING * 2); // two words each: where to read, where to answer
const packets = heap.pool({ size: PACKET, count: 2 * RING, boundary: 4096, reuse: "fifo" });

// The device: it fetches a descriptor, reads the packet that it names, and writes the packet back with all bits turned over.
const device = kernel.device(26);
const descriptor = new Uint8Array(16);
const words = new BigUint64Array(descriptor.buffer);
const inside = new Uint8Array(PACKET);
const deviceTakes = (index) => {
  device.read(descriptors.iova + BigInt(16 * index), descriptor);
  device.read(words[0], inside);
  for (let i = 0; i < PACKET; i++) inside[i] ^= 0xff;
  device.write(words[1], inside);
};

// The driver. A handle is a small integer; its IOVA is copied from column to ring, u64 to u64, and no bigint is made.
const sent = new Int32Array(RING);
const received = new Int32Array(RING);
const send = (index, seed) => {
  const packet = packets.get();
  const answer = packets.get();
  packets.bytes(packet).fill(seed);
  ring[2 * index] = packets.iovas[packets.slot(packet)];
  ring[2 * index + 1] = packets.iovas[packets.slot(answer)];
  [sent[index], received[index]] = [packet, answer];
};
const reap = (index) => {
  const [out, back] = [packets.bytes(sent[index]), packets.bytes(received[index])];
  let wrong = 0;
  for (let i = 0; i < PACKET; i++) if (back[i] !== (out[i] ^ 0xff)) wrong++;
  packets.put(sent[index]);
  packets.put(received[index]);
  return wrong;
};

const before = { bytes: memory.bytes, first: descriptors.iova };
const kept = [];
let moved = 0;
let wrong = 0;
for (let round = 0; memory.bytes < 8n * before.bytes; round++) {
  for (let index = 0; index < RING; index++) send(index, round + index);
  for (let i = 0; i < 16; i++) kept.push(heap.alloc(64 << 10)); // what else a driver takes on
  for (let index = 0; index < RING; index++) deviceTakes(index);
  for (let index = 0; index < RING; index++) wrong += reap(index);
  moved += 2 * RING * PACKET;
  await new Promise(setImmediate); // growth happens here, off the hot path
}
console.log(`${moved} bytes moved, ${wrong} wrong; ${before.bytes >> 20n} MiB became ${memory.bytes >> 20n} MiB`);
console.log(`the ring is still at IOVA 0x${descriptors.iova.toString(16)}`);
if (wrong > 0 || descriptors.iova !== before.first) process.exitCode = 1;

for (const handle of kept) heap.free(handle);
packets.close();
descriptors.close();
heap.close(); // all of it has come back, or it says what has not
container.close();
memory.close();
