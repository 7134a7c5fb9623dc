/** What was left for close to end, and the call that made it: of containers, memories and heaps with callSites, and in the environment. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { core } from "../../src/core.ts";
import { DmaHeap } from "../../src/heap/heap.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { edu, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { failure, refused } from "../support/failure.ts";
import { MiB } from "../support/program.ts";

const PAGE = 4096n;

/** The texts of the warnings that `run` gives. */
function warnings(run: () => void): string[] {
  const told: string[] = [];
  const { emitWarning } = process;
  process.emitWarning = ((text: string, { code }: { code: string }) => told.push(`${code}: ${text}`)) as never;
  try {
    run();
    return told;
  } finally {
    process.emitWarning = emitWarning;
  }
}

function site(callSites?: boolean) {
  const kernel = modelKernel({ platform: "type1", devices: [edu({ address: "0000:00:05.0" })] });
  const options = callSites === undefined ? {} : { callSites };
  const container = openContainer({ kernel, groups: [26], ...options });
  const memory = new MemsegTable({ kernel, ...options });
  const list = memory.addList({ pageSize: PAGE, maxBytes: MiB });
  const window = container.createWindow(planWindow({ memory, info: container.info(), growTo: 16n * MiB }));
  return { kernel, container, memory, list, window };
}

/** Made in functions of their own, so that the call can be told. */
function somewhere<T>(make: () => T): T {
  return make();
}

test("leaks() has what is open, and with callSites where it was made", () => {
  for (const callSites of [true, false]) {
    const { container, memory, list, window, kernel } = site(callSites);
    const segment = somewhere(() => memory.allocate(list, 2));
    somewhere(() => container.attach(memory, window));
    const device = somewhere(() => container.device());
    const va = kernel.mmap(0n, 4n * PAGE, 3, 4, 0);
    const iova = somewhere(() => window.map({ va, length: 2n * PAGE }));
    const found = [...container.leaks(), ...memory.leaks()];
    assert.equal(
      found.map(({ kind, what }) => `${kind}: ${what}`),
      [
        "device: device 0000:00:05.0",
        "window: a window of 16 MiB at 0x0",
        ...(callSites ? [`map: 8 KiB mapped at IOVA 0x${iova.toString(16)}`] : []),
        "memory: a memory of 8 KiB attached",
        `segment: a segment of 8 KiB at 0x${segment.va.toString(16)}`,
      ],
    );
    for (const { what, callSite } of found) {
      assert.is(callSite !== undefined, callSites, what);
      if (callSites) assert.match(callSite as string, /leaks\.test\.ts:\d+:\d+/, what);
    }
    window.unmap({ iova, length: 2n * PAGE });
    assert.not.ok(container.leaks().some(({ kind }) => kind === "map"));
    warnings(() => {
      device.close();
      container.detach(memory);
      window.close();
      assert.equal(container.leaks(), []);
      container.close();
      memory.close();
    });
  }
});

test("what the program has unmapped is forgotten then, and what a memory maps at the same place is not the program's", () => {
  const { container, memory, list, window, kernel } = site(true);
  const va = kernel.mmap(0n, 64n * PAGE, 3, 4, 0);
  const asked: bigint[] = [];
  const { windowReverse } = core;
  core.windowReverse = (handle, iova) => {
    asked.push(iova);
    return windowReverse(handle, iova);
  };
  try {
    // One by one; two in a row at once; and none of them at an IOVA that another one had.
    for (let i = 0n; i < 64n; i += 2n) {
      const at = MiB + i * 2n * PAGE;
      for (const one of [0n, 1n]) window.map({ va: va + (i + one) * PAGE, iova: at + one * PAGE, length: PAGE });
      if (i % 4n === 0n) window.unmapMany([0n, 1n].map((one) => ({ iova: at + one * PAGE, length: PAGE })));
      else window.unmap({ iova: at, length: 2n * PAGE });
    }
    asked.length = 0;
    assert.not.ok(container.leaks().some(({ kind }) => kind === "map"));
    assert.equal(asked, []);
  } finally {
    core.windowReverse = windowReverse;
  }
  const segment = memory.allocate(list, 1);
  const iova = window.map(segment);
  window.unmap({ iova, length: PAGE });
  container.attach(memory, window);
  assert.is(segment.iova(window), iova);
  assert.not.ok(container.leaks().some(({ kind }) => kind === "map"));
  warnings(() => {
    container.close();
    memory.close();
  });
});

test("close warns of what it has to end, once, and not of what the program has ended", () => {
  const { container, memory, list, window, kernel } = site(true);
  memory.allocate(list, 1);
  const gone = memory.allocate(list, 1);
  container.attach(memory, window);
  memory.free(gone);
  const va = kernel.mmap(0n, 8n * PAGE, 3, 4, 0);
  for (let i = 0n; i < 8n; i++) window.map({ va: va + i * PAGE, length: PAGE });
  window.unmap({ iova: window.iovaOf(va), length: PAGE });
  const told = warnings(() => {
    container.close();
    container.close();
    memory.close();
    memory.close();
  });
  assert.is(told.length, 2, told.join("\n"));
  assert.match(
    told[0] ?? "",
    /^DMA_WINDOW_LEAKS: the container of group 26 was closed with a window of 16 MiB at 0x0 \(.*leaks\.test\.ts/,
  );
  assert.match(told[0] ?? "", /4 KiB mapped at IOVA .* and 4 more\. End these first/);
  assert.match(
    told[1] ?? "",
    /^DMA_WINDOW_LEAKS: the memory was closed with a segment of 4 KiB at 0x[0-9a-f]+ \(.*leaks\.test\.ts/,
  );
});

test("nothing is said where all was ended, nor without callSites, nor while close is refused", () => {
  const clean = site(true);
  const plain = site();
  plain.container.attach(plain.memory, plain.window);
  const held = site(true);
  held.container.attach(held.memory, held.window);
  const heap = new DmaHeap({ memory: held.memory, list: held.list, window: held.window });
  assert.equal(
    warnings(() => {
      clean.window.close();
      clean.container.close();
      clean.memory.close();
      plain.container.close();
      plain.memory.close();
      failure("ERR_HELD", () => held.container.close());
      failure("ERR_HELD", () => held.memory.close());
    }),
    [],
  );
  const told = warnings(() => {
    heap.close();
    held.container.close();
    held.memory.close();
  });
  assert.is(told.length, 1, "the window, and the memory attached to it");
});

test("a heap with callSites that is closed whatever is live says what was", () => {
  const { container, memory, list, window } = site();
  container.attach(memory, window);
  const heap = new DmaHeap({ memory, list, window, name: "rx", callSites: true });
  heap.alloc(100);
  const [told] = warnings(() => heap.close({ force: true }));
  assert.match(
    told ?? "",
    /^DMA_WINDOW_LEAKS: heap "rx" was closed with 1 live: handle \d+ \(128 bytes at IOVA .*leaks\.test\.ts/,
  );
});

test("the option is true or false", () => {
  const kernel = modelKernel();
  refused("ERR_INVALID_ARG_TYPE", () => openContainer({ kernel, groups: [26], callSites: 1 as never }));
  refused("ERR_INVALID_ARG_TYPE", () => new MemsegTable({ kernel, callSites: "yes" as never }));
});

const root = fileURLToPath(new URL("../..", import.meta.url));

function run(environment: Record<string, string>): { readonly stdout: string; readonly stderr: string } {
  const program = join(root, "test/observing/programs/forgets.ts");
  return spawnSync(process.execPath, ["--import", "tsx", program], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...environment },
  });
}

test("in the environment it holds for all: a process that ends without closing says what it left", () => {
  assert.is(run({}).stderr, "");
  const { stdout, stderr } = run({ DMA_WINDOW_CALL_SITES: "1" });
  assert.match(stdout, "done");
  assert.match(
    stderr,
    /DMA_WINDOW_LEAKS: the container of group 26 \(.*forgets\.ts:\d+:\d+.*\) was never closed, with a window of 4 MiB at 0x0 \(.*forgets\.ts/,
  );
  assert.match(
    stderr,
    /DMA_WINDOW_LEAKS: the memory \(.*forgets\.ts:\d+:\d+.*\) was never closed, with a segment of 4 KiB at .*forgets\.ts/,
  );
});

test.run();
