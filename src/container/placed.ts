/** Where memory of a list lies in a window, and what errors say of it. */
import { NO_ADDRESS } from "../core.ts";
import { DmaWindowError } from "../errors.ts";
import { hex } from "../hex.ts";
import type { IommuInfo } from "../iommu.ts";
import type { Memseg, MemsegList } from "../memory/types.ts";
import type { Among } from "./failures.ts";

export interface Placed {
  readonly list: MemsegList;
  readonly va: bigint;
  readonly iova: bigint;
  readonly length: bigint;
}

/** Long work maps so many ranges in one go, or as much as the kernel pins in some ten milliseconds. */
export const STEP = 1024;
export const STEP_BYTES = 1n << 28n;

/** What one go did: ranges and their bytes; and where the rest begins. */
export interface Step {
  readonly count: number;
  readonly length: bigint;
  readonly next: bigint | undefined;
}

/** What an error says of one of these besides: to which list it belongs, and what of it lies together in the call. */
export function among(placed: readonly Placed[], of = { first: 0, count: placed.length }): Among {
  const more = (request: number) => {
    const { base, length, pageSize } = (placed[request] as Placed).list;
    const { va, length: bytes } = placed[request] as Placed;
    return {
      words: ` of the list at ${hex(base)}`,
      facts: { list: { base, length, pageSize }, segment: { va, length: bytes } },
    };
  };
  return { ...of, more };
}

/** Memsegs by address; neighbours as one. */
export function joined(memsegs: readonly Memseg[]): { readonly va: bigint; readonly length: bigint }[] {
  const runs: { va: bigint; length: bigint }[] = [];
  for (const { va, length } of memsegs) {
    const last = runs.at(-1);
    if (last !== undefined && last.va + last.length === va) last.length += length;
    else runs.push({ va, length });
  }
  return runs;
}

/** `asked` tells whether the table asks where its own memory lies: what a program adds it does not ask about. */
export function withoutAddress(va: bigint, length: bigint, kind: IommuInfo["kind"], asked: boolean): DmaWindowError {
  const isOnly = kind === "noiommu";
  return new DmaWindowError(
    "ERR_PHYSICAL_UNKNOWN",
    `no physical address is stated of it, ${isOnly ? "and without an IOMMU it is the only IOVA there is" : "which is the IOVA in mode pa"}: ` +
      (asked
        ? "the table's `physical` does not know that of its own memory, and is not asked about memory that the program adds: " +
          "state `iova` in the memseg"
        : "make the MemsegTable with physical: true, and state `iova` in a memseg that the program adds") +
      (isOnly ? "" : "; or plan with IOVA mode rebased"),
    { facts: { va, length } },
  );
}

/** A batch of an attachment, in order of addresses. */
export function nameOf(batch: readonly Placed[]): string {
  return `${batch.length} ranges of memory from ${hex(batch[0]?.va ?? NO_ADDRESS)} on`;
}
