// Runs with the ioctl() of ioctl.c preloaded, and prints what the shim made of its answers as JSON.

import { Worker } from "node:worker_threads";
import { shim } from "../../../src/linux/shim.ts";
import { BATCH_ENTRY_BYTES, VfioCall } from "../../../src/syscalls.ts";
import { addon } from "../native.ts";

const { IOMMU_MAP_DMA, IOMMU_UNMAP_DMA, IOMMU_SPAPR_TCE_CREATE } = VfioCall;
const native = shim();
const untouched = -99999;

/** One batch of MAP_DMAs, whose structs ask for these answers. */
function batch(answers: readonly number[], shared = false) {
  const memory = new Uint8Array(shared ? new SharedArrayBuffer(8192) : new ArrayBuffer(8192));
  const view = new DataView(memory.buffer);
  const structs = answers.length * BATCH_ENTRY_BYTES;
  for (const [index, answer] of answers.entries()) {
    const entry = index * BATCH_ENTRY_BYTES;
    view.setUint32(entry, IOMMU_MAP_DMA, true);
    view.setUint32(entry + 4, structs + index * 32, true);
    view.setInt32(entry + 8, untouched, true);
    view.setUint32(structs + index * 32, 32, true);
    view.setInt32(structs + index * 32 + 4, answer, true);
  }
  const succeeded = native.ioctlBatch(0, memory, 0, answers.length);
  return { succeeded, results: answers.map((_, index) => view.getInt32(index * BATCH_ENTRY_BYTES + 8, true)) };
}

/**
 * Two structs that overlap: the size that the kernel writes at the end of the first is the argsz of the second.
 *
 *     104      112      120      128
 *     | argsz  | iova   | size   |
 *                       | argsz  | ...
 */
function overlap(written: bigint) {
  const memory = new Uint8Array(256);
  const view = new DataView(memory.buffer);
  view.setUint32(0, IOMMU_UNMAP_DMA, true);
  view.setUint32(4, 104, true);
  view.setInt32(8, untouched, true);
  view.setBigUint64(112, written, true);
  view.setUint32(16, IOMMU_MAP_DMA, true);
  view.setUint32(20, 120, true);
  try {
    return { succeeded: native.ioctlBatch(0, memory, 0, 2), first: view.getInt32(8, true) };
  } catch (error) {
    return { refused: (error as { code: string }).code, first: view.getInt32(8, true) };
  }
}

const created = new Uint8Array(64);
const createResult = native.ioctlStruct(0, IOMMU_SPAPR_TCE_CREATE, created, 16);

/** Calls on another thread: with a struct, which the kernel writes into; without; failing; with an array that went away meanwhile. */
async function later() {
  const struct = new Uint8Array(40);
  const gone = new Uint8Array(40);
  const calls = [
    native.ioctlLater(0, IOMMU_SPAPR_TCE_CREATE, struct, 0),
    native.ioctlLater(0, VfioCall.SET_IOMMU, undefined, 7),
    native.ioctlLater(0, IOMMU_MAP_DMA, new Uint8Array([32, 0, 0, 0, 0xe4, 255, 255, 255, ...Array(24).fill(0)]), 0),
    native.ioctlLater(0, IOMMU_SPAPR_TCE_CREATE, gone, 0),
    native.ioctlLater(0, VfioCall.DEVICE_RESET, undefined, 0),
  ];
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  const answers = await Promise.all(calls);
  return { answers, start: new DataView(struct.buffer).getBigUint64(32, true).toString(16), gone: gone.length };
}

/** Threads that end while a call of theirs is on its way. */
async function endedMeanwhile(): Promise<number> {
  const program = `
    const { parentPort, workerData } = require("node:worker_threads");
    require(workerData.addon).ioctlLater(0, ${VfioCall.DEVICE_RESET}, undefined, 0);
    parentPort.postMessage("begun");
    if (workerData.exits) process.exit(0);
    setInterval(() => {}, 1000);`;
  let ended = 0;
  for (const exits of [false, true]) {
    const worker = new Worker(program, { eval: true, workerData: { addon, exits } });
    if (!exits) worker.on("message", () => worker.terminate());
    await new Promise((resolve) => worker.on("exit", resolve));
    ended++;
  }
  return ended;
}

console.log(
  JSON.stringify({
    all: batch([0, 0, 0, 0]),
    shared: batch([0, 0], true),
    failure: batch([0, 0, -28, 0]),
    positive: batch([0, 1, 0]),
    integer: native.ioctl(0, VfioCall.SET_IOMMU, 7),
    none: native.ioctl(0, VfioCall.GROUP_UNSET_CONTAINER, 0),
    positiveStruct: native.ioctlStruct(0, IOMMU_MAP_DMA, new Uint8Array([32, 0, 0, 0, 5, ...Array(27).fill(0)]), 0),
    setContainer: native.ioctlStruct(0, VfioCall.GROUP_SET_CONTAINER, new Uint8Array([26, 0, 0, 0]), 0),
    reset: native.ioctl(0, VfioCall.DEVICE_RESET, 0),
    feature: native.ioctlStruct(0, VfioCall.DEVICE_FEATURE, new Uint8Array([8, 0, 0, 0, 9, 0, 0, 0]), 0),
    later: await later(),
    endedMeanwhile: await endedMeanwhile(),
    created: [createResult, new DataView(created.buffer).getBigUint64(48, true).toString(16)],
    overlapWithin: overlap(64n),
    overlapBeyond: overlap(1000n),
  }),
);
// One more is on its way when the process ends.
native.ioctlLater(0, VfioCall.DEVICE_RESET, undefined, 0);
process.exit(0);
