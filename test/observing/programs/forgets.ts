/** A program that ends without closing what it has opened. */
import { MemsegTable, modelKernel, openContainer, planWindow } from "../../../src/index.ts";

const kernel = modelKernel({ platform: "type1" });
const container = openContainer({ kernel, groups: [26] });
const memory = new MemsegTable({ kernel });
const list = memory.addList({ pageSize: 4096, maxBytes: 4 << 20 });
container.createWindow(planWindow({ memory, info: container.info() }));
memory.allocate(list, 1);
console.log("done");
