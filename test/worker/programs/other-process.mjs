/** Another process, which is sent tokens: what it says of them. */
import { openHeap, openRemoteFree, openSharedPool } from "../../../dist/index.js";
import { modelKernel } from "../../../dist/model/index.js";

const kernel = modelKernel();
const open = { pool: openSharedPool, heap: openHeap, remote: openRemoteFree };
process.on("message", ({ kind, token }) => {
  try {
    open[kind](token, { kernel });
    process.send({ kind, code: "opened" });
  } catch ({ code, message }) {
    process.send({ kind, code, message });
  }
});
