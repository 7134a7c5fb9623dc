/** An engine that shows no memory but its own, as V8 with its sandbox: segments are read and written by copies there. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { compiledShim } from "./compile.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const directory = mkdtempSync(join(tmpdir(), "dma-window-caged-"));
const header = join(directory, "caged.h");
writeFileSync(
  header,
  `#include <node_api.h>
static inline napi_status caged(napi_env, void*, size_t, napi_finalize, void*, napi_value*) { return napi_no_external_buffers_allowed; }
#define napi_create_external_arraybuffer caged
`,
);
const compiled = compiledShim(join(directory, "caged.node"), "-include", header);

test("a caged engine is told to copy, and can", () => {
  try {
    if (compiled === undefined) return; // no compiler
    assert.is(compiled.why, undefined, compiled.said);
    const program = `
      import { linuxKernel, MemsegTable } from ${JSON.stringify(join(root, "src/index.ts"))};
      const memory = new MemsegTable({ kernel: linuxKernel() });
      const list = memory.addList({ pageSize: 4096, maxBytes: 1 << 20 });
      const segment = memory.allocate(list, 2);
      const code = (ask) => { try { ask(); } catch (error) { return [error.name, error.code, /read and write/.test(error.message)]; } };
      segment.write(4090, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
      const into = Buffer.alloc(10);
      segment.read(4089, into);
      const said = { bytes: code(() => segment.bytes), view: code(() => segment.view(0, 1)), into: [...into] };
      memory.free(segment);
      memory.close();
      console.log(JSON.stringify(said));`;
    const env = { ...process.env, DMA_WINDOW_SHIM: join(directory, "caged.node") };
    const args = ["--import", "tsx", "--input-type=module", "-e", program];
    const child = spawnSync(process.execPath, args, { encoding: "utf8", env, cwd: root });
    assert.is(child.status, 0, child.stderr);
    const refusal = ["DmaWindowError", "ERR_NO_EXTERNAL_BUFFERS", true];
    assert.equal(JSON.parse(child.stdout), { bytes: refusal, view: refusal, into: [0, 1, 2, 3, 4, 5, 6, 7, 8, 0] });
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test.run();
