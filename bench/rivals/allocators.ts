/** The allocators in C, each in a process of its own, at the work that ours has. */
import type { Bench } from "../harness/group.ts";
import type { Percentiles } from "../harness/percentiles.ts";
import type { Contender } from "../harness/rounds.ts";
import { OPERATIONS, type Workload } from "../tables/workload.ts";
import type { Rivals } from "./build.ts";
import { RivalProcess } from "./process.ts";

/** By the names that the figures have. */
export const ALLOCATORS = ["mimalloc", "jemalloc", "glibc", "rte_malloc"] as const satisfies readonly (keyof Rivals)[];

export type AllocatorName = (typeof ALLOCATORS)[number];

export class Allocator {
  readonly name: AllocatorName;
  readonly #process: RivalProcess;
  readonly contender: Contender;

  /** `operations`: of its repeats, fewer for one that is slow enough. What is said of a repeat is of as many as ours are. */
  private constructor(name: AllocatorName, started: RivalProcess) {
    this.name = name;
    this.#process = started;
    this.contender = started.contender(name, "swap", OPERATIONS);
  }

  static async start(
    bench: Pick<Bench, "rivals" | "leaveOut">,
    name: AllocatorName,
    workload: Workload,
    { align = 0, operations = OPERATIONS }: { readonly align?: number; readonly operations?: number } = {},
  ): Promise<Allocator | undefined> {
    const program = bench.rivals[name];
    const started = await RivalProcess.start(bench, name, program, workload.file(), align, operations);
    return started && new Allocator(name, started);
  }

  /** Of single steps, in nanoseconds. */
  latency(count: number): Promise<Percentiles> {
    return this.#process.ask(`latency ${count}`);
  }

  /** The same of nothing. */
  clock(count: number): Promise<Percentiles> {
    return this.#process.ask(`clock ${count}`);
  }

  close(): void {
    this.#process.close();
  }
}

/** All that are here, at that work, while `use` runs. */
export async function withAllocators<T>(
  bench: Pick<Bench, "rivals" | "leaveOut">,
  names: readonly AllocatorName[],
  workload: Workload,
  options: { readonly align?: number; readonly slow?: Partial<Record<AllocatorName, number>> },
  use: (allocators: readonly Allocator[]) => Promise<T>,
): Promise<T> {
  const started: Allocator[] = [];
  try {
    for (const name of names) {
      const operations = options.slow?.[name] ?? OPERATIONS;
      const one = await Allocator.start(bench, name, workload, { align: options.align ?? 0, operations });
      if (one) started.push(one);
    }
    return await use(started);
  } finally {
    for (const one of started) one.close();
  }
}
