import { vfioCallName } from "../../syscalls.ts";
import { bytesOf } from "../pages.ts";
import type { DmaWindow } from "../spapr/windows.ts";

/** TCEs that were live and are not any more: the devices of the container can no longer reach this IOVA. */
export interface ClearedRange {
  /** The call that did it: `VFIO_IOMMU_UNMAP_DMA`, or `close`, or `exit` of the process. A MAP does it too, when it fails halfway. */
  readonly call: string;
  readonly iova: bigint;
  /** Bytes. */
  readonly length: bigint;
}

export type ClearedListener = (cleared: ClearedRange) => void;

/** Clears TCEs, and tells those who want to hear of it. Costs one comparison per call when nobody does. */
export class Watchers {
  readonly #listeners = new Set<ClearedListener>();
  /** The call under way. Its name is looked up only when there is something to say. */
  call: number | "close" | "exit" = "close";

  add(listener: ClearedListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Clears `count` TCEs of `window` from `first` on; one report for each run of neighbours that were live. */
  clear(window: DmaWindow, first: number, count: number): void {
    if (this.#listeners.size === 0) {
      window.tces.clear(first, count);
      return;
    }
    const runs: { first: number; end: number }[] = [];
    window.tces.clear(first, count, (index) => {
      const last = runs[runs.length - 1];
      if (last?.end === index) last.end++;
      else runs.push({ first: index, end: index + 1 });
    });
    const call = typeof this.call === "string" ? this.call : vfioCallName(this.call);
    for (const run of runs) {
      const iova = bytesOf(window.startPage + run.first * window.unit);
      const length = bytesOf((run.end - run.first) * window.unit);
      for (const listener of this.#listeners) listener({ call, iova, length });
    }
  }
}
