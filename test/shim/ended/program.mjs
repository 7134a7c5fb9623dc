// Has a device open, as bus master, in the thread that is asked for, and ends without closing anything.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

const { addon, how } = isMainThread ? JSON.parse(process.argv[2]) : workerData;
const shim = { exports: {} };
process.dlopen(shim, addon);
const native = shim.exports;
const GET_DEVICE_FD = 6;

function open() {
  native.open("/dev/vfio/vfio");
  const group = native.open("/dev/vfio/26");
  const device = native.ioctlStruct(group, GET_DEVICE_FD, new Uint8Array([0x31, 0]), 0);
  native.pwrite(device, new Uint8Array([6, 0]), 4096n + 4n);
  native.mapRegisters(device, 0n, 4096);
  const eventfd = native.eventfd();
  native.listen(eventfd, () => {});
  native.close(native.open("/dev/vfio/26")); // what was closed is nobody's
}

const ends = {
  terminated: () => setInterval(() => {}, 1000),
  "worker ends": () => process.exit(0),
  "worker throws": () => {
    throw new Error("nobody catches this");
  },
  "opening meanwhile": () => {},
  "process ends": () => native.holdLoop(1, 0),
  "process.exit": () => process.exit(0),
  "process throws": () => {
    throw new Error("nobody catches this either");
  },
};

if (!isMainThread) {
  if (how === "opening meanwhile") {
    const group = native.open("/dev/vfio/26");
    native.ioctlLater(group, GET_DEVICE_FD, new Uint8Array([0x31, 0]), 0);
    setInterval(() => {}, 1000);
  } else open();
  parentPort.postMessage("open");
  ends[how]();
} else if (how.startsWith("process")) {
  open();
  ends[how]();
} else {
  const own = native.eventfd();
  const worker = new Worker(new URL(import.meta.url), { workerData: { addon, how } });
  worker.on("error", () => {});
  const exit = new Promise((resolve) => worker.once("exit", resolve));
  await Promise.race([new Promise((resolve) => worker.once("message", resolve)), exit]);
  if (how === "terminated" || how === "opening meanwhile") await worker.terminate();
  await exit;
  if (native.takeEvents(own) !== 0) throw new Error("what the main thread has open was closed");
  native.close(native.open("/dev/vfio/vfio")); // it goes on
}
