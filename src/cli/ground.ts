/** What both schemes stand on: a kernel with a witness before it, memory with one list, and a container. */
import type { Container } from "../container/container.ts";
import { openContainer } from "../container/open.ts";
import { MemsegTable } from "../memory/table.ts";
import type { MemsegList } from "../memory/types.ts";
import { type IovaMode, type PlanRequest, planWindow, type WindowPlan } from "../plan/index.ts";
import type { Syscalls } from "../syscalls.ts";
import type { Machine } from "./machine.ts";
import { Witness } from "./witness.ts";

export interface GroundOptions {
  readonly iovaMode: IovaMode;
  readonly growTo?: bigint;
  /** Gives what the library sees of the kernel: the kernel itself, unless something is to stand between the two. */
  readonly inFront?: (kernel: Syscalls) => Syscalls;
}

/** Room for the holes that a storm leaves between its segments. */
const ADDRESS_SPACE_FACTOR = 4n;

/**
 * Where to look for address space in IOVA mode `va`: the lower it lies, the smaller the window. DPDK begins at 4 GiB too. On
 * POWER Linux loads programs there, at a random distance (seen at 0x114750000), so it may be taken; the next places are not.
 */
const LOW_ADDRESSES = [1n << 32n, 1n << 34n, 1n << 36n] as const;

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
    const { iovaMode, inFront } = options;
    const kernel = inFront === undefined ? this.witness.kernel : inFront(this.witness.kernel);
    this.memory = new MemsegTable({ kernel, ...(iovaMode === "pa" ? { physical: true } : {}) });
    try {
      const { pageSize, pages } = machine.pool;
      const maxBytes = pageSize * BigInt(pages) * ADDRESS_SPACE_FACTOR;
      this.list = iovaMode === "va" ? this.#lowList(pageSize, maxBytes) : this.memory.addList({ pageSize, maxBytes });
      this.container = openContainer({ kernel, groups: machine.groups, noIommu: machine.noIommu });
    } catch (error) {
      this.memory.close();
      throw error;
    }
  }

  /** A list at the lowest of the addresses that the kernel can give; wherever it likes, if it can give none. */
  #lowList(pageSize: bigint, maxBytes: bigint): MemsegList {
    for (const near of LOW_ADDRESSES) {
      const list = this.memory.addList({ pageSize, maxBytes, near });
      if (list.base < 2n * near) return list;
      this.memory.removeList(list);
    }
    return this.memory.addList({ pageSize, maxBytes });
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
