/** What runs in a browser, run where there is nothing but the language and WebAssembly. */
import vm from "node:vm";
import { build } from "esbuild";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { root } from "../package/imports.ts";

/** A plan, its refusal, causes of an answer, a trace and a storm under both schemes; and what only a machine of one's own has. */
const program = `
  import { DynamicScheme, StaticScheme } from "./src/cli/schemes.ts";
  import { makeStorm, Storm } from "./src/cli/storm.ts";
  import { explain } from "./src/explain.ts";
  import { modelKernel } from "./src/model/index.ts";
  import { openContainer } from "./src/container/open.ts";
  import { MemsegTable } from "./src/memory/table.ts";
  import { planWindow } from "./src/plan/index.ts";
  import { parseIomem, readIomem } from "./src/system/iomem.ts";
  import { readGroups } from "./src/system/groups.ts";
  import { readTrace } from "./src/trace/read.ts";
  import { recordTrace } from "./src/trace/recorder.ts";

  const refused = (call) => {
    try {
      return call();
    } catch (error) {
      return error.code;
    }
  };

  const planned = ["powernv", "pseries", "type1", "noiommu"].map((platform) => {
    const lines = [];
    const kernel = recordTrace(modelKernel({ platform }), (line) => lines.push(line));
    const noIommu = platform === "noiommu";
    const memory = new MemsegTable({ kernel, ...(noIommu ? { physical: true } : {}) });
    const list = memory.addList({ pageSize: 2 << 20, maxBytes: 1n << 30n });
    const container = openContainer({ kernel, groups: [26], noIommu });
    const plan = planWindow({ memory, info: container.info(), highestRam: (64n << 30n) - 1n });
    const window = container.createWindow(plan);
    container.attach(memory);
    const { va } = memory.allocate(list, 2);
    window.iovaOf(va);
    container.close();
    memory.close();
    return [platform, plan.size > 0n, [...readTrace(lines).calls].length > 8].join(" ");
  });

  const steps = makeStorm({ seed: 1, steps: 300, pages: 64, largest: 4 });
  const machine = {
    groups: [26], noIommu: false, pool: { kind: "hugepages", pageSize: 2n << 20n, pages: 80 },
    makeKernel: () => modelKernel({ platform: "powernv" }),
  };
  const storms = [new StaticScheme(machine, { iovaMode: "rebased" }, [1]), new DynamicScheme(machine, [1])].map((scheme) => {
    const storm = new Storm(steps, scheme);
    while (storm.step());
    return [storm.done, storm.result.failures, scheme.ground.witness.interrupted > 0].join(" ");
  });

  said = {
    planned,
    storms,
    explained: explain("VFIO_IOMMU_MAP_DMA", -28, "type1").includes("dma_entry_limit"),
    ram: String(parseIomem("00001000-0009fbff : System RAM\\n").highest),
    hash: modelKernel().hash() === modelKernel().hash(),
    own: [refused(() => readIomem()), refused(() => readGroups())],
  };
`;

const without = suite("without Node");

without("plans, explains, keeps a trace and goes through a storm, in a bundle for browsers", async () => {
  const result = await build({
    stdin: { contents: program, resolveDir: root, loader: "ts" },
    bundle: true,
    write: false,
    platform: "browser", // an import of Node's fails here
    format: "iife",
  });
  const context: { said?: unknown } = {};
  vm.runInNewContext(result.outputFiles[0]?.text ?? "", context); // no Buffer, no process, no console, no timers
  assert.equal(JSON.parse(JSON.stringify(context.said)), {
    planned: ["powernv true true", "pseries true true", "type1 true true", "noiommu true true"],
    storms: ["300 0 false", "300 0 true"],
    explained: true,
    ram: "654335",
    hash: true,
    own: ["ERR_NO_MACHINE_FILES", "ERR_NO_MACHINE_FILES"],
  });
});

without.run();
