/** One of each thing that the library gives to a program, on the software kernel, whose every call is counted. */

import { openContainer } from "../../src/container/open.ts";
import { DmaHeap } from "../../src/heap/heap.ts";
import { linuxKernel, shimAvailable } from "../../src/linux/index.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { faulty } from "../../src/model/faults.ts";
import { edu, modelKernel } from "../../src/model/index.ts";
import { pciDevices } from "../../src/pci/devices.ts";
import { planWindow } from "../../src/plan/index.ts";
import { readHugepages } from "../../src/system/hugepages.ts";
import { parseIomem } from "../../src/system/iomem.ts";
import { readTrace, recordTrace } from "../../src/trace/index.ts";
import { openRemoteFree } from "../../src/worker/remote-free.ts";
import { MiB } from "../support/program.ts";

export interface Things {
  /** By the name that it is shown under; "" of what is a plain object without one. */
  readonly things: readonly (readonly [name: string, value: object])[];
  /** How often the kernel was asked by now. */
  readonly asked: () => number;
  /** Closes all of them, in order. */
  readonly close: () => void;
}

const ADDRESS = "0000:00:05.0";

/** A device with messages, of which some can be on. */
const device = { ...edu({ address: ADDRESS, group: 26 }) };

export function things(): Things {
  const memory = shimAvailable() ? linuxKernel() : undefined;
  const model = modelKernel({ platform: "type1", groups: [26], devices: [device], ...(memory ? { memory } : {}) });
  const kernel = faulty(model);
  const pageSize = BigInt(model.pageSize);
  const container = openContainer({ kernel, groups: [26] });
  const table = new MemsegTable({ kernel });
  const list = table.addList({ pageSize, maxBytes: 64n * MiB });
  const info = container.info();
  const plan = planWindow({ memory: table, info });
  const window = container.createWindow(plan);
  container.attach(table, window);
  const heap = new DmaHeap({ memory: table, list, window, name: "rx" });
  const pool = heap.pool({ size: 2048, count: 4 });
  pool.get();
  const buffer = heap.buffer(100);
  const segment = table.allocate(list, 2);
  const rows = window.requests(4);
  const opened = container.device(ADDRESS);
  const bar = opened.bar(0);
  const vectors = opened.irqs.msi(1);
  const lines: string[] = [];
  const recorder = recordTrace(model, (line) => lines.push(line));
  const remote = heap.remote();
  const { token, shared } = memory ? sharing(heap) : { token: [], shared: [] };
  return {
    things: [
      ["Container", container],
      ["Window", window],
      ["WindowPlan", plan],
      ["MemsegTable", table],
      ["MemsegList", list],
      ["Segment", segment],
      ["DmaHeap", heap],
      ["DmaPool", pool],
      ["DmaBuffer", buffer],
      ["RequestRows", rows],
      ["Device", opened],
      ["Bar", bar],
      ["ConfigSpace", opened.config],
      ["Interrupts", opened.irqs],
      ["Vectors", vectors],
      ["Vector", vectors.vector(0)],
      ["Kernel", opened.kernel],
      ["FaultyKernel", kernel],
      ["ModelKernel", model],
      ["ModelDevice", model.device(26)],
      ["PluggedDevice", model.plugged(ADDRESS)],
      ["LinuxKernel", linuxKernel()],
      ["TraceRecorder", recorder],
      ["Trace", readTrace(lines)],
      ["RemoteFreeToken", remote],
      ["RemoteFree", openRemoteFree(remote)],
      ...token,
      ...shared,
      ["", info],
      ["DeviceInfo", opened.info],
      ["", heap.stats],
      ["", heap.leaks()[0] as object],
      ["", [...window.maps()][0] as object],
      ["", [...table.memsegs()][0] as object],
      ["", table.find(segment.va) as object],
      ["", window.runs(segment.va, 100)[0] as object],
      ["", parseIomem("00001000-0009ffff : System RAM\n")],
      ["", readHugepages(modelKernel().files)[0] as object],
      ["", pciDevices({ kernel: model })[0] as object],
      ["", model.snapshot()],
      ["", model.live(26)[0] as object],
      ["", model.tceAt(26, buffer.iova) as object],
    ],
    asked: () => kernel.calls,
    close() {
      vectors.disable();
      bar.close();
      rows.close();
      buffer.close();
      heap.close({ force: true });
      table.free(segment);
      opened.close();
      container.close();
      table.close();
    },
  };
}

type Shown = readonly (readonly [string, object])[];

/** What is sent to workers: of memory that they could see. */
function sharing(heap: DmaHeap): { readonly token: Shown; readonly shared: Shown } {
  const pool = heap.sharedPool({ size: 2048, count: 8 });
  const token = pool.token();
  pool.recover(token.worker); // nobody comes
  const loan = heap.lend(4096);
  const [lent] = heap.loans;
  heap.recover(loan.loan);
  return {
    token: [
      ["SharedPoolToken", token],
      ["HeapToken", loan],
      ["", lent as object],
    ],
    shared: [["SharedPool", pool]],
  };
}
