// What a program that has installed dma-window does with it: plans, the model, the core, and system calls through the shim. Prints one
// line of JSON.
import { linuxKernel, MemsegTable, openContainer, planWindow } from "dma-window";
import { core } from "dma-window/core";
import { modelKernel } from "dma-window/model";
import { recordTrace } from "dma-window/trace";

const said = { core: core.log2Floor(4096n), models: [] };

for (const platform of ["powernv", "pseries", "type1"]) {
  let calls = 0;
  const kernel = recordTrace(modelKernel({ platform }), () => calls++);
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1n << 30n });
  const container = openContainer({ kernel, groups: [26] });
  const plan = planWindow({ memory, info: container.info(), growTo: 1n << 30n });
  const window = container.createWindow(plan);
  container.attach(memory);
  const { va } = memory.allocate(list, 2);
  said.models.push(`${platform} ${window.translate(va) === window.iovaOf(va) && calls > 3}`);
  container.close();
  memory.close();
}

const kernel = linuxKernel();
const memory = new MemsegTable({ kernel });
const segment = memory.allocate(memory.addList({ pageSize: kernel.pageSize, maxBytes: 1n << 20n }), 2);
segment.write(5, Uint8Array.of(1, 2, 3));
const back = new Uint8Array(3);
segment.read(5, back);
memory.close();
said.shim = `${back} ${kernel.open("/nonexistent") < 0}`;
said.loaded = process.report.getReport().sharedObjects.filter((path) => path.endsWith("vfio_shim.node"));
console.log(JSON.stringify(said));
