/** A heap over a list that is attached to a window, on a software kernel: what the tests of heaps start from. */

import * as assert from "uvu/assert";
import type { Container } from "../../src/container/container.ts";
import type { Window } from "../../src/container/window.ts";
import { DmaHeap } from "../../src/heap/heap.ts";
import type { HeapOptions } from "../../src/heap/options.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import type { MemsegList } from "../../src/memory/types.ts";
import type { ModelKernel, ModelOptions } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { refusesArgument } from "../support/failure.ts";
import type { FaultyKernel } from "../support/faulty.ts";
import { bareMachine } from "../support/other-iommus.ts";
import { GiB, GROUP, KiB, MiB, Program } from "../support/program.ts";

export const PLATFORMS = ["powernv", "pseries", "type1", "noiommu"] as const;
export const HUGE = 2n * MiB;

export interface Ready {
  readonly model: ModelKernel;
  /** In front of it. */
  readonly kernel: FaultyKernel;
  readonly container: Container;
  readonly memory: MemsegTable;
  readonly list: MemsegList;
  readonly window: Window;
}

export interface ListSize {
  readonly pageSize?: bigint;
  readonly maxBytes?: bigint;
}

/** Without a heap: a list of `maxBytes` in pages of `pageSize`, attached. Without an IOMMU memory says its physical addresses. */
export function attached(options: ModelOptions = {}, { pageSize = HUGE, maxBytes = 64n * MiB }: ListSize = {}): Ready {
  if (options.platform === "noiommu") {
    const { model, kernel, container } = bareMachine(options);
    const memory = new MemsegTable({ kernel, physical: true });
    const list = memory.addList({ pageSize, maxBytes });
    const window = container.createWindow(planWindow({ memory, info: container.info(), highestRam: 4n * GiB - 1n }));
    container.attach(memory, window);
    return { model, kernel, container, memory, list, window };
  }
  const program = new Program(options);
  const { model, kernel, container } = program;
  const memory = program.memory();
  const list = memory.addList({ pageSize, maxBytes });
  const window = program.window(GiB, { pageSize: pageSize < 64n * KiB ? 4n * KiB : 64n * KiB });
  container.attach(memory, window);
  return { model, kernel, container, memory, list, window };
}

export type SomeOptions = Partial<Omit<HeapOptions, "memory" | "list" | "window">>;

/** With a heap. */
export function ready(
  options: SomeOptions = {},
  model: ModelOptions = {},
  size: ListSize = {},
): Ready & { readonly heap: DmaHeap } {
  const all = attached(model, size);
  const { memory, list, window } = all;
  return { ...all, heap: new DmaHeap({ memory, list, window, ...options }) };
}

/** What a device reads from an IOVA on. */
export function dmaRead({ model }: Pick<Ready, "model">, iova: bigint, length: number): Uint8Array {
  const into = new Uint8Array(length);
  const { bytes, fault } = model.device(GROUP).read(iova, into);
  if (bytes !== length) throw new Error(`the device read ${bytes} of ${length} bytes: ${fault?.why}`);
  return into;
}

export function dmaWrite({ model }: Pick<Ready, "model">, iova: bigint, from: Uint8Array): void {
  const { bytes, fault } = model.device(GROUP).write(iova, from);
  if (bytes !== from.length) throw new Error(`the device wrote ${bytes} of ${from.length} bytes: ${fault?.why}`);
}

/** A turn of the event loop, in which heaps grow. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

/** Fails unless `run` refuses an argument with this code, and says which. */
export function refuses(code: "ERR_INVALID_ARG_TYPE" | "ERR_OUT_OF_RANGE", name: string, run: () => unknown): void {
  const error = refusesArgument(run);
  assert.is((error as { code?: string }).code, code, error.message);
  assert.match(error.message, name);
}
