// Forgets to close what it has opened: DMA_WINDOW_CALL_SITES=1 says so, and where each was made.
import { MemsegTable, modelKernel, openContainer, planWindow } from "dma-window";

const kernel = modelKernel({ platform: "type1" });
const container = openContainer({ kernel, groups: [26] });
const memory = new MemsegTable({ kernel });
memory.addList({ pageSize: 4096, maxBytes: 4 << 20 });
const window = container.createWindow(planWindow({ memory, info: container.info() }));
container.attach(memory, window);
