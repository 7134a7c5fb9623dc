/** A program that maps, meets with a refusal of the kernel's, opens a device, and ends. */
import { edu, MemsegTable, modelKernel, openContainer, planWindow } from "../../../src/index.ts";
import { faulty } from "../../support/faulty.ts";

const kernel = faulty(modelKernel({ platform: "type1", devices: [edu({ address: "0000:00:05.0" })] }));
const container = openContainer({ kernel, groups: [26] });
const memory = new MemsegTable({ kernel });
const list = memory.addList({ pageSize: 2 << 20, maxBytes: 4 << 20 });
container.attach(memory, container.createWindow(planWindow({ memory, info: container.info() })));
memory.free(memory.allocate(list, 1));
kernel.fail({ call: "VFIO_IOMMU_MAP_DMA", answer: -12 });
try {
  memory.allocate(list, 2);
} catch (error) {
  console.log((error as { code: string }).code);
}
container.device().irqs.msi(1);
container.close();
memory.close();
