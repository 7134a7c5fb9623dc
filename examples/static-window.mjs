// A window sized once; memory that comes and goes in it. Runs anywhere: the kernel is the software one.
import { DmaHeap, MapFlag, MemsegTable, modelKernel, openContainer, Protection, planWindow } from "dma-window";

const platform = process.argv[2] ?? "powernv"; // or pseries, type1, noiommu
const noIommu = platform === "noiommu"; // then IOVAs are physical addresses, and nothing protects memory

const kernel = modelKernel({ platform }); // on a machine with VFIO: linuxKernel(), and the groups of your devices
const memory = new MemsegTable({ kernel, physical: noIommu });
const hugepages = memory.addList({ pageSize: 2 << 20, maxBytes: 1n << 30n }); // address space now, pages when asked for

const container = openContainer({ kernel, groups: [26], noIommu });
const plan = planWindow({ memory, info: container.info(), growTo: 64n << 30n }); // pure; plan.rejected says why not otherwise
const window = container.createWindow(plan);
container.attach(memory); // memory that comes is mapped, memory that goes is unmapped first

const heap = new DmaHeap({ memory, list: hugepages, window }); // buffers of any size; it grows by hugepages, the window does not
const commands = heap.buffer(4096, { align: 4096 }); // an object, for what lives long
commands.bytes.fill(0x2a); // what the device will read
console.log(`a device finds ${commands.length} bytes at IOVA 0x${commands.iova.toString(16)}`);

const packets = heap.pool({ size: 2048, count: 512, boundary: 4096 }); // for what comes and goes
const packet = packets.get(); // a handle: a small integer
packets.bytes(packet).fill(1); // the same array each time
const ring = new BigUint64Array(64); // the device's format
ring[0] = packets.iovas[packets.slot(packet)]; // u64 to u64, no garbage
packets.put(packet); // once the device is done with it

const segment = memory.allocate(hugepages, 2); // whole pages; throws if it cannot be mapped, and leaves nothing behind

const pages = BigUint64Array.from([segment.va, segment.va + 4096n, 0n]);
const iovas = new BigUint64Array(3);
console.log(`${window.translateInto(pages, iovas)} of 3 addresses are mapped`); // in bulk: no garbage

// Memory of the program's own, which no table has: 16 hugepages of 2^21 bytes.
const usable = Protection.READ | Protection.WRITE;
const buffers = kernel.mmap(0n, 16n << 21n, usable, MapFlag.HUGETLB | MapFlag.POPULATE, 21);
if (buffers < 0n) throw new Error(`no hugepages: errno ${-buffers}`);

// Single questions: the first page of a segment, as a number.
const page = Number(segment.va);
const iova = window.translate(page); // -1: not mapped
if (window.contains(iova, 4096)) console.log(`TCE ${window.tceIndex(iova)} of the window`);

// Batches: one crossing and one call of the kernel interface for all rows, and no object for any.
const rows = window.requests(1024);
const size = 1n << BigInt(window.pageShift); // whole pages of the window
for (let i = 0; i < 16; i++) {
  rows.vas[i] = buffers + BigInt(i) * size;
  rows.lengths[i] = size;
  rows.iovas[i] = 0xffff_ffff_ffff_ffffn; // the window chooses, and writes here what it chose
}
window.mapInto(rows.vas, rows.lengths, rows.iovas, rows.permissions, 16); // all of them, or none
window.unmapFrom(rows.iovas, rows.lengths, rows.vas, 16);

// Addresses of one list: an addition. Not without an IOMMU, where each page is at an IOVA of its own.
if (!noIommu) {
  const offset = window.iovaOffset(hugepages); // once for each list and window
  rows.iovas[0] = segment.va + offset; // elements of a BigUint64Array are modulo 2^64, as the offset is
}

kernel.munmap(buffers, 16n << 21n); // what was mapped by hand is unmapped first
memory.free(segment);
commands.close();
packets.close();
heap.close(); // says what is still live; its pages go back
container.close(); // unmaps, unregisters, removes the window, closes the fds
memory.close();
