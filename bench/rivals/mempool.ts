/** DPDK's pools, each in a process of its own: see mempool.c. */
import type { Bench } from "../harness/group.ts";
import type { Contender } from "../harness/rounds.ts";
import { PAIRS } from "../tables/pools.ts";
import { RivalProcess } from "./process.ts";

export interface Mempool {
  readonly name: string;
  /** Objects in the cache of the thread; 0: none. */
  readonly cache: number;
  readonly ring: "ring_mp_mc" | "ring_sp_sc";
}

export interface RunningMempool {
  /** `suffix`: of its name, where it does several things in one table. */
  contender(work: "pair" | "exchange" | "bulk", suffix?: string): Contender;
}

/** All of them that can be here, while `use` runs. */
export async function withMempools<T>(
  bench: Pick<Bench, "rivals" | "leaveOut">,
  pools: readonly Mempool[],
  objects: number,
  use: (running: readonly RunningMempool[]) => Promise<T>,
): Promise<T> {
  const started: RivalProcess[] = [];
  const running: RunningMempool[] = [];
  try {
    for (const { name, cache, ring } of pools) {
      const one = await RivalProcess.start(bench, name, bench.rivals.mempool, objects, cache, ring);
      if (one === undefined) continue;
      started.push(one);
      running.push({ contender: (work, suffix = "") => one.contender(`${name}${suffix}`, work, PAIRS) });
    }
    return await use(running);
  } finally {
    for (const one of started) one.close();
  }
}
