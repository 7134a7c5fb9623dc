/**
 * What a trace leaves out, nobody can replay. So: a random program is recorded, its trace replayed, and the replay recorded
 * too; the second trace has to be the first. Every byte that reached the first kernel then reached the second one, but for
 * addresses and descriptors, and every answer was the same.
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { recordTrace, replay } from "../../src/trace/index.ts";
import { Random } from "../support/random.ts";
import { RandomProgram } from "./random-program.ts";
import { Tape } from "./tape.ts";

interface Machine {
  readonly name: string;
  readonly options: ModelOptions;
  readonly paths: readonly string[];
}

const ordinary = ["/dev/vfio/26"];
const machines: readonly Machine[] = [
  { name: "PowerNV", options: { platform: "powernv" }, paths: ordinary },
  { name: "PowerNV, pages of 64 KiB", options: { platform: "powernv", pageSize: 65536 }, paths: ordinary },
  { name: "pSeries", options: { platform: "pseries" }, paths: ordinary },
  {
    name: "pSeries, where little may be locked",
    options: { platform: "pseries", lockedMemory: { limit: 3n << 20n, privileged: false } },
    paths: ordinary,
  },
  { name: "type1", options: { platform: "type1" }, paths: ordinary },
  { name: "no IOMMU", options: { platform: "noiommu" }, paths: ["/dev/vfio/noiommu-26"] },
];

const PROGRAMS = 40;
const STEPS = 120;

/** The lines of a program's trace. `beside` is mmapped first: memory lies below it then. */
function recorded({ options, paths }: Machine, seed: number, beside = 0n): string[] {
  const model = modelKernel(options);
  // Nothing that a call past the end of the program's memory could reach.
  if (beside > 0n) model.mmap(0n, beside, Protection.NONE, MapFlag.NORESERVE, 0);
  const tape = new Tape(model);
  new RandomProgram(tape, new Random(seed), paths).play(STEPS);
  return tape.lines;
}

for (const machine of machines) {
  test(`the trace of a replay is the trace that was replayed: ${machine.name}`, () => {
    const met = new Map<string, number>();
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const lines = recorded(machine, seed);
      const again: string[] = [];
      const { differences, moved } = replay(
        lines,
        recordTrace(modelKernel(machine.options), (line) => again.push(line)),
      );
      assert.equal(differences, [], `seed ${seed}`);
      assert.is(moved, 0, `seed ${seed}`);
      // A replay asks first what is locked already, and tidies up at its end.
      const [header, asked, ...calls] = again;
      assert.equal([header, ...calls.slice(0, lines.length - 1)], lines, `seed ${seed}`);
      assert.match(asked ?? "", '"lockedMemory"');
      for (const line of lines.slice(1)) {
        const { call, answer, batch, throws } = JSON.parse(line);
        const kind = throws ?? (typeof answer === "string" ? (/^[fm]/.test(answer) ? "symbol" : "errno") : answer);
        for (const what of [`${call} ${kind}`, batch === undefined ? "" : `batch ${kind}`]) {
          met.set(what, (met.get(what) ?? 0) + 1);
        }
      }
    }
    const wanted = [
      "mmap symbol",
      "mmap errno",
      "munmap 0",
      "MAP_DMA errno",
      "batch errno",
      "batch null",
      "close errno",
    ];
    if (machine.options.platform !== "noiommu") wanted.push("MAP_DMA 0", "UNMAP_DMA 0", "GET_INFO 0");
    if (/pSeries|PowerNV/.test(machine.name)) {
      wanted.push("REGISTER_MEMORY 0", "TCE_CREATE 0", "TCE_CREATE errno", "TCE_REMOVE 0", "batch 0", "MAP_DMA 1");
    }
    for (const what of wanted) assert.ok((met.get(what) ?? 0) > 2, `${what}: ${JSON.stringify([...met])}`);
  });

  test(`the same program has the same trace wherever its memory lies: ${machine.name}`, () => {
    for (let seed = 1; seed <= 8; seed++) {
      const lines = recorded(machine, seed);
      assert.equal(recorded(machine, seed), lines, `seed ${seed}`);
      // The place among the largest pages is written down where memory begins: a distance of 16 GiB leaves that too.
      assert.equal(recorded(machine, seed, 16n << 30n), lines, `seed ${seed}, 16 GiB lower`);
      const { differences } = replay(recorded(machine, seed, 7n << 16n), modelKernel(machine.options));
      assert.equal(differences, [], `seed ${seed}, recorded 448 KiB lower`);
    }
  });
}

test.run();
