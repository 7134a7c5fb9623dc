/** DPDK's functions for memory, in a process of their own. */
import type { Bench } from "../harness/group.ts";
import type { Contender } from "../harness/rounds.ts";
import { RivalProcess } from "./process.ts";

/** What is measured there: see dpdk.c. */
export type DpdkWork =
  | "virt2memseg"
  | "virt2memseg_missing"
  | "walk_memsegs"
  | "walk_lists"
  | "power_of_two"
  | "virt2physical";

export class Dpdk {
  readonly #process: RivalProcess;

  /** Starts it and waits until its tables are full. `parameters` as dpdk.c takes them; nothing where it cannot do that here. */
  static async start(bench: Pick<Bench, "rivals" | "leaveOut">, ...parameters: readonly (string | number)[]) {
    const started = await RivalProcess.start(bench, "DPDK", bench.rivals.dpdk, ...parameters);
    return started && new Dpdk(started);
  }

  private constructor(started: RivalProcess) {
    this.#process = started;
  }

  /** See {@link RivalProcess.contender}. */
  contender(name: string, work: DpdkWork, operations: number): Contender {
    return this.#process.contender(name, work, operations);
  }

  close(): void {
    this.#process.close();
  }
}
