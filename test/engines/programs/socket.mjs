// A socket that reads into a segment's memory, which is freed and given out again: what comes then is nobody else's.
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { linuxKernel, MemsegTable } from "dma-window";

const kernel = linuxKernel();
const memory = new MemsegTable({ kernel });
const list = memory.addList({ pageSize: kernel.pageSize, maxBytes: kernel.pageSize });
const segment = memory.allocate(list, 1);

const server = createServer().listen(0, "127.0.0.1");
await once(server, "listening");
const accepted = once(server, "connection");
const onread = { buffer: segment.bytes, callback: () => true };
const socket = connect({ port: server.address().port, host: "127.0.0.1", onread }).on("error", () => {});
const [other] = await accepted;
other.on("error", () => {}).write("before");
await wait(50);
console.log(Buffer.from(segment.bytes.subarray(0, 6)).toString());

memory.free(segment);
let next;
try {
  next = memory.allocate(list, 1);
} catch (error) {
  if (error.code !== "ERR_LIST_FULL") throw error;
}
other.write("after");
await wait(50);
const found = new Uint8Array(kernel.pageSize);
next?.read(0, found);
console.log(`changed: ${found.some((byte) => byte !== 0)}`);

socket.destroy();
await wait(50);
next ??= memory.allocate(list, 1);
console.log(`the same addresses: ${next.va === segment.va}`);
process.exit();
