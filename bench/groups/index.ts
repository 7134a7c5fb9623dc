/** All groups, in the order in which they are measured and shown. */
import type { Group } from "../harness/group.ts";
import { allocStart } from "./alloc-start.ts";
import { ofArguments } from "./arguments.ts";
import { bits } from "./bits.ts";
import { check } from "./check.ts";
import { dpdk } from "./dpdk.ts";
import { engines } from "./engines.ts";
import { firstFree } from "./first-free.ts";
import { heap } from "./heap.ts";
import { heapAligned } from "./heap-aligned.ts";
import { heapLatency } from "./heap-latency.ts";
import { heapLive } from "./heap-live.ts";
import { heapRandom } from "./heap-random.ts";
import { heapWaste } from "./heap-waste.ts";
import { interrupts } from "./interrupts.ts";
import { library } from "./library.ts";
import { lists } from "./lists.ts";
import { model } from "./model.ts";
import { nvme } from "./nvme.ts";
import { nvmeModel } from "./nvme-model.ts";
import { observing } from "./observing.ts";
import { pool, poolBulk } from "./pool.ts";
import { registers } from "./registers.ts";
import { shim } from "./shim.ts";
import { single } from "./single.ts";
import { start } from "./start.ts";
import { translate } from "./translate.ts";
import { walk, walkSums } from "./walk.ts";
import { workers } from "./workers.ts";

export const groups: readonly Group[] = [
  translate,
  dpdk,
  check,
  engines,
  walk,
  walkSums,
  lists,
  firstFree,
  single,
  shim,
  start,
  bits,
  library,
  ofArguments,
  model,
  observing,
  registers,
  interrupts,
  nvme,
  nvmeModel,
  pool,
  poolBulk,
  heap,
  heapAligned,
  heapRandom,
  heapLive,
  heapWaste,
  heapLatency,
  workers,
  allocStart,
];
