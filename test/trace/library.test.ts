/** The library itself, recorded: a container, a window, memory that comes and goes, and maps that fail. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import { type IovaMode, planWindow } from "../../src/plan/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { recordTrace, replay } from "../../src/trace/index.ts";
import { thrownBy } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";

const MiB = 1n << 20n;

/** Memory before and after the window is made, freed and taken again, and mapped twice. */
function program(kernel: Syscalls, iovaMode: IovaMode): void {
  const memory = new MemsegTable({ kernel });
  const hugepages = memory.addList({ pageSize: 2n * MiB, maxBytes: 64n * MiB });
  const early = memory.allocate(hugepages, 2);
  const container = openContainer({ kernel, groups: [26] });
  const window = container.createWindow(planWindow({ memory, info: container.info(), iovaMode }));
  container.attach(memory);
  const later = memory.allocate(hugepages, 3);
  memory.free(early);
  memory.allocate(hugepages, 1);
  if (iovaMode === "rebased") {
    const other = kernel.mmap(0n, 4n * MiB, 3, 0, 0);
    thrownBy(() => window.map({ va: other, length: 4n * MiB }));
    kernel.munmap(other, 4n * MiB);
    thrownBy(() => window.map({ va: later.va, length: 1n }));
  }
  container.detach(memory);
  container.attach(memory);
  container.close();
  memory.close();
}

function traceOf(kernel: Syscalls, iovaMode: IovaMode): string[] {
  const lines: string[] = [];
  program(
    recordTrace(kernel, (line) => lines.push(line)),
    iovaMode,
  );
  return lines;
}

const cases: readonly (readonly ["powernv" | "pseries", number, IovaMode])[] = [
  ["powernv", 4096, "rebased"],
  ["powernv", 65536, "va"],
  ["pseries", 65536, "rebased"],
];

for (const [platform, pageSize, iovaMode] of cases) {
  test(`a program of the library goes through a replay as it went: ${platform}, ${pageSize}, ${iovaMode}`, () => {
    const lines = traceOf(modelKernel({ platform, pageSize }), iovaMode);
    assert.ok(lines.length > 40);
    const model = modelKernel({ platform, pageSize });
    assert.equal(replay(lines, model), { calls: lines.length - 1, differences: [], moved: 0 });
    assert.equal(model.leaks(), []);
  });

  test(`its trace says the same wherever its memory lies: ${platform}, ${pageSize}, ${iovaMode}`, () => {
    const options = { platform, pageSize } as const;
    const lines = traceOf(modelKernel(options), iovaMode);
    const elsewhere = modelKernel(options);
    // Hugepages begin at multiples of their size, so a distance of a hugepage is none for the program.
    elsewhere.mmap(0n, 34n * MiB, 0, 0, 0);
    const lower = traceOf(elsewhere, iovaMode);
    const withoutPhase = (line: string) => line.replace(/,"phase":"0x[0-9a-f]+"/, "");
    assert.equal(lower.map(withoutPhase), lines.map(withoutPhase));
    assert.is(lower.filter((line, i) => line !== lines[i]).length, 1, "only where memory begins");
    assert.not.match(lines.join(), /0x7f{3,}/, "no address of the process");
    assert.equal(replay(lower, modelKernel(options)).differences, []);
  });
}

test("a mode va trace goes through a replay where memory lies elsewhere: IOVAs follow their memory", () => {
  const lines = traceOf(modelKernel(), "va");
  assert.ok(lines.some((line) => /"iova":"m1/.test(line)));
  const elsewhere = modelKernel();
  elsewhere.mmap(0n, 1n << 40n, 0, 0, 0);
  assert.equal(replay(lines, elsewhere).differences, []);
});

test("a program that met with failures is one whose answers a healthy kernel does not give", () => {
  const faults = [
    { call: "MAP_DMA", nth: 1, answer: no.ENOMEM },
    { call: "UNREGISTER_MEMORY", nth: 1, answer: no.EIO },
  ];
  const lines: string[] = [];
  const kernel = recordTrace(faulty(modelKernel(), ...faults), (line) => lines.push(line));
  assert.is(thrownBy(() => program(kernel, "rebased")).code, "ERR_KERNEL");
  assert.equal(replay(lines, faulty(modelKernel(), ...faults)).differences, []);
  const [first] = replay(lines, modelKernel()).differences;
  assert.equal([first?.call, first?.expected, first?.got], ["MAP_DMA", "ENOMEM", "0"]);
});

test("the trace in the documentation is one, and its program is answered so", () => {
  const text = readFileSync(fileURLToPath(new URL("../../docs/traces.md", import.meta.url)), "utf8");
  const [, lines = ""] = /```jsonl\n([\s\S]*?)\n```/.exec(text) ?? [];
  const { calls, differences, moved } = replay(lines.split("\n"), modelKernel({ platform: "pseries" }));
  assert.equal({ calls, differences, moved }, { calls: 20, differences: [], moved: 0 });
});

test.run();
