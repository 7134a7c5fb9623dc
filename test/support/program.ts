/** A program on a software kernel, with a window that is ready to be mapped into: what most tests start from. */
import type { Container } from "../../src/container/container.ts";
import { openContainer } from "../../src/container/open.ts";
import type { Window } from "../../src/container/window.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { type PlanRequest, planWindow } from "../../src/plan/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { type FaultyKernel, faulty } from "./faulty.ts";
import { type RecordingSyscalls, recording } from "./recording.ts";

export const KiB = 1n << 10n;
export const MiB = 1n << 20n;
export const GiB = 1n << 30n;
export const TiB = 1n << 40n;

/** Where PowerNV's second window begins, and every window of an LPAR that is not like its default one. */
export const HIGH = 1n << 59n;

/** The group, unless the model is made with others. */
export const GROUP = 26;

/** The wrapped kernels: the library asks `faults`, what passes is written down by `record`, and `model` answers. */
export class Program {
  readonly model: ModelKernel;
  readonly record: RecordingSyscalls;
  readonly kernel: FaultyKernel;
  readonly container: Container;
  readonly group: number;

  constructor(options: ModelOptions = {}, beside?: Program) {
    this.model = beside?.model ?? modelKernel(options);
    this.record = beside?.record ?? recording(this.model);
    this.kernel = beside?.kernel ?? faulty(this.record);
    this.group = options.groups?.at(-1) ?? GROUP;
    this.container = openContainer({ kernel: this.kernel, groups: [this.group] });
  }

  /** Another container of the same process, on another group of the same kernel. */
  beside(group: number): Program {
    return new Program({ groups: [group] }, this);
  }

  /** A window of `size` bytes. Pages are the CPU's unless `pageSize` says otherwise. */
  window(size: bigint, { pageSize = BigInt(this.model.pageSize), ...request }: WindowOptions = {}): Window {
    const lists = [{ base: 0n, length: pageSize, pageSize }];
    const info = { ...this.container.info(), pageSizes: pageSize };
    return this.container.createWindow(planWindow({ memory: { lists }, info, growTo: size, ...request }));
  }

  /** Memory that can be registered; `shift` takes it from the hugetlb pool. */
  allocate(length: bigint, shift?: number): bigint {
    const flags = shift === undefined ? 0 : MapFlag.HUGETLB;
    return this.model.mmap(0n, length, Protection.READ | Protection.WRITE, flags, shift ?? 0);
  }

  /** A table of memory with address space of its own. */
  memory(): MemsegTable {
    return new MemsegTable({ kernel: this.kernel });
  }

  /** Its container as the model has it. */
  get seen(): ReturnType<ModelKernel["snapshot"]>["containers"][number] {
    const container = this.model.snapshot().containers.find(({ groups }) => groups.includes(this.group));
    if (container === undefined) throw new Error("the model has no such container");
    return container;
  }
}

interface WindowOptions extends Partial<PlanRequest> {
  readonly pageSize?: bigint;
}

/** A container, a window of 16 MiB with the CPU's pages, and memory to map, in one line. */
export function ready(
  options: ModelOptions = {},
  size = 16n * MiB,
): { readonly program: Program; readonly window: Window; readonly va: bigint } {
  const program = new Program(options);
  const window = program.window(size);
  const va = program.allocate(64n * BigInt(program.model.pageSize));
  program.record.take();
  return { program, window, va };
}
