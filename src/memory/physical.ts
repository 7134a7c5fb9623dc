import { NO_ADDRESS } from "../core.ts";
import { argumentTypeError } from "../errors.ts";
import type { Syscalls } from "../syscalls.ts";
import { address } from "../validate.ts";
import type { Memseg, MemsegList } from "./types.ts";

/**
 * Gives the physical addresses of pages that are there, one for each page; 2^64 - 1 where one is not known. A page may
 * still move until it is mapped; on sPAPR that does no harm, because a TCE holds the page that was pinned and the IOVA is
 * a name.
 */
export type PhysicalResolver = (va: bigint, pages: number, pageSize: number) => ArrayLike<bigint>;

/** What an option says of physical addresses: a function of the program's, the kernel's (`true`), or that nobody asks. */
export function resolverOf(physical: unknown, kernel: () => Syscalls): PhysicalResolver | undefined {
  if (typeof physical === "function") return physical as PhysicalResolver;
  if (physical === true) return (...asked) => kernel().physicalAddresses(...asked);
  if (physical === undefined || physical === false) return undefined;
  throw argumentTypeError("physical", "a function, true, or false", physical);
}

/** Memsegs for pages: one, or, where physical addresses are wanted, one for each run of them. */
export function memsegsOf(
  resolve: PhysicalResolver | undefined,
  { pageSize }: Pick<MemsegList, "pageSize">,
  va: bigint,
  pages: number,
): Memseg[] {
  if (resolve === undefined) return [{ va, length: BigInt(pages) * pageSize }];
  return physicalRuns(resolve, va, pages, pageSize);
}

/** Memsegs for pages: one for each run of pages that follow each other in physical memory too. */
export function physicalRuns(resolve: PhysicalResolver, va: bigint, pages: number, pageSize: bigint): Memseg[] {
  const addresses = resolve(va, pages, Number(pageSize)); // exact: a power of two up to 2^40
  const runs: { va: bigint; iova?: bigint; length: bigint }[] = [];
  for (let i = 0; i < pages; i++) {
    const at = va + BigInt(i) * pageSize;
    const iova = address(`physical address ${i}`, addresses[i]);
    const previous = runs.at(-1);
    if (iova === NO_ADDRESS) runs.push({ va: at, length: pageSize });
    else if (previous?.iova !== undefined && previous.iova + previous.length === iova) previous.length += pageSize;
    else runs.push({ va: at, iova, length: pageSize });
  }
  return runs;
}
