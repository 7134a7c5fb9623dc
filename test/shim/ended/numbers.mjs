// A thread opens eventfds, and has them closed without the shim's knowledge; others get their numbers, for anonymous files of their own. As
// it ends it closes its own, and not those. Prints what each of the numbers leads to, before that and behind it.
import { closeSync, readFileSync, readlinkSync, watch } from "node:fs";
import { tmpdir } from "node:os";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

const addon = isMainThread ? process.argv[2] : workerData;
const message = (worker) => new Promise((resolve) => worker.once("message", resolve));

function target(fd) {
  try {
    const counter = /^eventfd-id:\s*\d+$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"))?.[0] ?? "";
    return `${readlinkSync(`/proc/self/fd/${fd}`)} ${counter}`;
  } catch ({ code }) {
    return code;
  }
}

if (isMainThread) {
  const first = new Worker(new URL(import.meta.url), { workerData: addon });
  const fds = await message(first);
  const watcher = watch(tmpdir(), () => {}); // an inotify
  const second = new Worker(
    'const { parentPort: port } = require("node:worker_threads"); port.on("message", () => port.postMessage(1));',
    {
      eval: true,
    },
  ); // an epoll, an eventfd, and others
  const heard = message(second);
  second.postMessage(1);
  await heard;
  const before = fds.map(target);
  await first.terminate();
  console.log(JSON.stringify({ before, after: fds.map(target) }));
  watcher.close();
  await second.terminate();
} else {
  const shim = { exports: {} };
  process.dlopen(shim, addon);
  const fds = Array.from({ length: 16 }, () => shim.exports.eventfd());
  for (const fd of fds) closeSync(fd);
  parentPort.postMessage(fds);
  setInterval(() => {}, 1000);
}
