// A first driver, of QEMU's teaching device edu: node examples/first-driver.mjs [type1|powernv|pseries|noiommu|linux] [ADDRESS]
import {
  bindToVfio,
  DmaHeap,
  edu,
  linuxKernel,
  MemsegTable,
  modelKernel,
  openContainer,
  pciDevice,
  planWindow,
} from "dma-window";

const [platform = "type1", address = "0000:01:00.0"] = process.argv.slice(2);
const noIommu = platform === "noiommu";
const kernel =
  platform === "linux" ? linuxKernel() : modelKernel({ platform, devices: [{ ...edu({ address }), driver: "edu" }] });

const undo = []; // the last first, also where something throws, and on Ctrl-C
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
process.once("exit", () => {
  for (const step of undo.reverse()) {
    try {
      step();
    } catch (error) {
      process.exitCode = 1;
      console.error(error);
    }
  }
});

const found = pciDevice(address, { kernel });
const ids = [found.vendor, found.device].map((id) => id.toString(16).padStart(4, "0")).join(":");
console.log(`${address} is ${ids}, with ${found.driver ?? "no driver"}`);
if (ids !== "1234:11e8")
  throw new Error(`${address} is no edu device: qemu -device edu,dma_mask=0xffffffffffffffff has one`);

const binding = bindToVfio(address, { kernel }); // refuses what is in use, with what would be lost
undo.push(() => {
  binding.restore();
  console.log(`${address} is with ${pciDevice(address, { kernel }).driver ?? "no driver"} again`);
});

const memory = new MemsegTable({ kernel, physical: noIommu });
undo.push(() => memory.close());
const list = memory.addList({ pageSize: noIommu ? 2 << 20 : kernel.pageSize, maxBytes: 16 << 20 });

const container = openContainer({ kernel, devices: [address], noIommu });
undo.push(() => container.close());
const reach = noIommu ? { growTo: 64n << 30n } : {}; // then IOVAs are physical addresses, up to the end of the RAM
const window = container.createWindow(planWindow({ memory, info: container.info(), ...reach }));
container.attach(memory);

const heap = new DmaHeap({ memory, list, window });
undo.push(() => heap.close());
const buffer = heap.buffer(4096, { align: 4096 });
undo.push(() => buffer.close());

const device = await container.openDevice(address); // may take seconds, and does not hold up the event loop
undo.push(() => device.close()); // it is stopped before its memory goes

const IDENTITY = 0x010000ed;
const endian = device.bar(0).read32(0x00) === IDENTITY ? "little" : "big"; // QEMU's edu has its machine's byte order
const registers = device.bar(0, { endian });
console.log(`its identity is 0x${registers.read32(0x00).toString(16)}`);

registers.write32(0x04, 0x12345678);
const inverse = registers.read32(0x04);
if (inverse !== ~0x12345678 >>> 0) throw new Error(`liveness: 0x${inverse.toString(16)}`);

device.busMaster = true; // MSI is a write of the device's: without this none comes
const vector = device.irqs.msi().vector(0); // or irqs.msix(count), irqs.intx()
const interrupts = vector[Symbol.asyncIterator]();

/** Waits for the interrupt, and acknowledges it. A device that is silent is an error, and no program that hangs. */
async function answerTo(what) {
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(new Error(`${what}: no interrupt within 2 s`)), 2000).unref();
  });
  await Promise.race([interrupts.next(), late]);
  registers.write32(0x64, registers.read32(0x24)); // quieten it first: a line would be raised again
}

registers.write32(0x20, 0x80); // interrupt when it is done
registers.write32(0x08, 10);
await answerTo("factorial");
console.log(`10! is ${registers.read32(0x08)}`);

const INSIDE = 0x40000n; // the device's own buffer of 4 KiB, as its DMA engine sees it

async function move(source, destination, direction) {
  registers.write64(0x80, source);
  registers.write64(0x88, destination);
  registers.write64(0x90, BigInt(buffer.length));
  registers.write64(0x98, 1n | direction | 4n); // start, where to, interrupt
  await answerTo("DMA");
}

for (let i = 0; i < buffer.length; i++) buffer.bytes[i] = (i * 7) & 0xff;
await move(buffer.iova, INSIDE, 0n); // the device reads what was written just now: no barrier is needed
buffer.bytes.fill(0);
await move(INSIDE, buffer.iova, 2n);
const wrong = buffer.bytes.filter((byte, i) => byte !== ((i * 7) & 0xff)).length;
console.log(`${buffer.length} bytes went to the device and came back, ${wrong} wrong`);

if (device.canReset) device.reset(); // edu cannot: closing stops it all the same
device.irqs.disable(); // nobody listens any more, so the program ends
