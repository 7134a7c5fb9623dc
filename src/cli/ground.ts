/** What both schemes stand on: a kernel with a witness before it, memory with one list, and a container. */
import type { Container } from "../container/container.ts";
import { openContainer } from "../container/open.ts";
import { MemsegTable } from "../memory/table.ts";
import type { MemsegList } from "../memory/types.ts";
import { type IovaMode, type PlanRequest, planWindow, type WindowPlan } from "../plan/index.ts";
import type { Machine } from "./machine.ts";
import { Witness } from "./witness.ts";

export interface GroundOptions {
  readonly iovaMode: IovaMode;
  readonly growTo?: bigint;
}

/** Room for the holes that a storm leaves between its segments. */
const ADDRESS_SPACE_FACTOR = 4n;

/** DPDK looks for address space from here on in IOVA mode `va`: the lower it lies, the smaller the window. */
const LOW_ADDRESS = 1n << 32n;

export class Ground {
  readonly witness: Witness;
  readonly memory: MemsegTable;
  readonly list: MemsegList;
  readonly container: Container;
  readonly #machine: Machine;
  readonly #options: GroundOptions;

  /** Leaves nothing behind when it throws. */
  constructor(machine: Machine, options: GroundOptions) {
    this.#machine = machine;
    this.#options = options;
    this.witness = new Witness(machine.makeKernel());
    const { kernel } = this.witness;
    const { iovaMode } = options;
    this.memory = new MemsegTable({ kernel, ...(iovaMode === "pa" ? { physical: machine.physical } : {}) });
    try {
      const { pageSize, pages } = machine.pool;
      const maxBytes = pageSize * BigInt(pages) * ADDRESS_SPACE_FACTOR;
      this.list = this.memory.addList({ pageSize, maxBytes, ...(iovaMode === "va" ? { near: LOW_ADDRESS } : {}) });
      this.container = openContainer({ kernel, groups: machine.groups });
    } catch (error) {
      this.memory.close();
      throw error;
    }
  }

  /** All that planWindow has to know. @throws what was wrong with /proc/iomem, in IOVA mode `pa`, if that is all there is. */
  planRequest(): PlanRequest {
    const { iovaMode, growTo } = this.#options;
    const { highestRam, iomemProblem } = this.#machine;
    if (iovaMode === "pa" && growTo === undefined && highestRam === undefined && iomemProblem) throw iomemProblem;
    return {
      iovaMode,
      memory: this.memory,
      info: this.container.info(),
      ...(growTo === undefined ? {} : { growTo }),
      ...(highestRam === undefined ? {} : { highestRam }),
    };
  }

  plan(): WindowPlan {
    return planWindow(this.planRequest());
  }

  /** Once more does nothing. */
  close(): void {
    this.witness.lettingGoOfAll();
    this.container.close();
    this.memory.close();
  }
}
