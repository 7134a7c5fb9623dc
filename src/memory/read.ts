/** What `addList` and `add` are given, checked. Each option is read once: what a getter says the second time is not what was checked. */
import { NO_ADDRESS } from "../core.ts";
import { argumentRangeError } from "../errors.ts";
import { bytes } from "../hex.ts";
import { known } from "../known.ts";
import type { Syscalls } from "../syscalls.ts";
import { address, boolean, object, pageShift, size } from "../validate.ts";
import { nodeFor } from "./node.ts";
import { LIST_KEYS, type ListOptions, MEMSEG_KEYS, type NewMemseg } from "./options.ts";
import type { Memseg } from "./types.ts";

/** A list that is asked for. */
export interface ListRead {
  readonly pageSize: bigint;
  readonly pageShift: number;
  readonly length: bigint;
  readonly external: boolean;
  readonly heap: boolean;
  readonly near: bigint;
  /** Where the program's own memory lies; `undefined` for a list of the table's own. */
  readonly given: bigint | undefined;
  readonly node: number | undefined;
}

/** `kernel` is asked for where it is needed: for a list of the table's own. */
export function readList(options: ListOptions, kernel: () => Syscalls): ListRead {
  known("options", object("options", options), LIST_KEYS);
  const { pageSize: page, maxBytes, base, near, external, heap, node } = options;
  const shift = pageShift("pageSize", page);
  const pageSize = 1n << BigInt(shift);
  const length = size("maxBytes", maxBytes);
  const isExternal = external !== undefined && boolean("external", external);
  const isHeap = heap !== undefined && boolean("heap", heap);
  if (length === 0n || length % pageSize !== 0n) {
    throw argumentRangeError("maxBytes", `a multiple of the page size ${bytes(pageSize)}, and not 0`, maxBytes);
  }
  const isOwn = base === undefined;
  if (isOwn && pageSize < BigInt(kernel().pageSize)) {
    throw argumentRangeError("pageSize", `at least the CPU's, ${bytes(kernel().pageSize)}, without base`, page);
  }
  return {
    pageSize,
    pageShift: shift,
    length,
    external: isExternal,
    heap: isHeap,
    near: near === undefined ? 0n : address("near", near),
    given: isOwn ? undefined : address("base", base),
    node: node === undefined ? undefined : nodeFor(kernel(), node, isOwn),
  };
}

/** Memory of the program's own, for a list. */
export function readMemseg(memseg: NewMemseg): Memseg {
  known("memseg", object("memseg", memseg), MEMSEG_KEYS);
  const { va: at, length: many, iova: stated } = memseg;
  const va = address("memseg.va", at);
  const length = size("memseg.length", many);
  if (stated === undefined) return { va, length };
  const iova = address("memseg.iova", stated);
  if (iova !== NO_ADDRESS) return { va, length, iova };
  throw argumentRangeError("memseg.iova", "the first byte of a page; left out where it is not known", iova);
}
