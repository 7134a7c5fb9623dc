/** Programs on a software kernel whose IOMMU is not sPAPR's: type1, and none. */
import * as assert from "uvu/assert";
import type { Container } from "../../src/container/container.ts";
import { openContainer } from "../../src/container/open.ts";
import type { Window } from "../../src/container/window.ts";
import { core } from "../../src/core.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { type PlanRequest, planWindow } from "../../src/plan/index.ts";
import type { Syscalls } from "../../src/syscalls.ts";
import { type FaultyKernel, faulty } from "./faulty.ts";
import { GROUP, MiB, Program } from "./program.ts";
import type { Random } from "./random.ts";
import { recording } from "./recording.ts";

/** A container, a window of 16 MiB with pages of 4 KiB, and 64 of them to map, on type1. */
export function readyOnType1(
  options: ModelOptions = {},
  request: Partial<PlanRequest> = {},
): { readonly program: Program; readonly window: Window; readonly va: bigint } {
  const program = new Program({ platform: "type1", ...options });
  const window = program.window(16n * MiB, request);
  const va = program.allocate(64n * BigInt(program.model.pageSize));
  program.record.take();
  return { program, window, va };
}

/** Ranges as an IOMMU of type1 allows them, in pages of 4 KiB: a first hole of less than `first`, lengths to `longest`, gaps to `gap`. */
export function randomRanges(
  random: Random,
  { count, first, longest, gap }: Readonly<Record<"count" | "first" | "longest" | "gap", number>>,
): readonly { readonly start: bigint; readonly last: bigint }[] {
  const pages = (number: number): bigint => BigInt(number) << 12n;
  const ranges: { start: bigint; last: bigint }[] = [];
  for (let at = pages(random.below(first)); ranges.length < count; ) {
    const length = pages(1 + random.below(longest));
    ranges.push({ start: at, last: at + length - 1n });
    at += length + pages(1 + random.below(gap));
  }
  return ranges;
}

/** Fails unless the kernel has a map for each thing that the windows say is mapped, and no other, in the same pieces. */
export function agreeOnMaps(program: Program, ...windows: readonly Window[]): void {
  const { maps } = program.seen;
  let bytes = 0n;
  for (const { iova, va, size } of maps) {
    const window = windows.find((one) => one.contains(iova, size));
    assert.ok(window, `a map at IOVA 0x${iova.toString(16)}, in no window`);
    for (const within of [0n, size - 1n]) {
      assert.is(window?.vaOf(iova + within), va + within);
      assert.is(window?.translate(va + within), iova + within);
      assert.is(program.model.tceAt(program.group, iova + within)?.va, va + within, "what the device reaches");
    }
    const container = window?.target.container ?? 0;
    assert.is(core.containerPieceStart(container, iova), iova, "where the kernel's map begins");
    assert.is(core.containerPieceLength(container, iova), size, "how long it is");
    bytes += size;
  }
  assert.is(
    windows.reduce((sum, window) => sum + window.liveBytes, 0n),
    bytes,
    "bytes that are mapped",
  );
}

/** The wrapped kernels of a machine without an IOMMU, and a container on it. */
export interface BareMachine {
  readonly model: ModelKernel;
  readonly record: ReturnType<typeof recording>;
  readonly kernel: FaultyKernel;
  readonly container: Container;
}

/** `inner` may stand in front of the model. */
export function bareMachine(
  options: ModelOptions = {},
  wrap: (kernel: Syscalls) => Syscalls = (kernel) => kernel,
): BareMachine {
  const model = modelKernel({ platform: "noiommu", ...options });
  const record = recording(wrap(model));
  const kernel = faulty(record);
  const container = openContainer({ kernel, groups: [GROUP], noIommu: true });
  record.take();
  return { model, record, kernel, container };
}

/** A table with one list of hugepages of 2 MiB, which knows where they are; and a window over 4 GiB. */
export function readyWithoutIommu(options: ModelOptions = {}) {
  const machine = bareMachine(options);
  const { kernel, container, record } = machine;
  const memory = new MemsegTable({ kernel, physical: true });
  const list = memory.addList({ pageSize: 2n * MiB, maxBytes: 64n * MiB });
  const window = container.createWindow(planWindow({ memory, info: container.info(), highestRam: (1n << 32n) - 1n }));
  record.take();
  return { ...machine, memory, list, window };
}
