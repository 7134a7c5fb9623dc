/**
 * Pages of one NUMA node.
 *
 * They are bound and not preferred (MPOL_BIND): a page of another node in their place would only be slower, so that nobody would
 * notice, and a program that names a node wants to know. The kernel ends a process that touches a page which its node does not
 * have (SIGBUS); so no page is touched before a call has answered that all are present.
 */
import { argumentRangeError, DmaWindowError } from "../errors.ts";
import { refusedByKernel } from "../explain.ts";
import { bytes, hex } from "../hex.ts";
import type { Syscalls } from "../syscalls.ts";
import { borrowable } from "../system/hugepages.ts";
import { type NumaNode, readNodes } from "../system/nodes.ts";
import { count } from "../validate.ts";

/** No Linux is built for more NUMA nodes (CONFIG_NODES_SHIFT is at most 10). */
const NODE_MAX = 1023;

/**
 * The node of a list: one that the machine has; where its files do not say, the kernel will. Only for memory of the table's own.
 * @throws `ERR_NO_NODE` (facts: node, nodes), `ERR_NO_NODE_BINDING` where the kernel interface cannot do it.
 */
export function nodeFor(kernel: Syscalls, value: unknown, isOwn: boolean): number {
  const node = count("node", value);
  if (node > NODE_MAX) throw argumentRangeError("node", `from 0 to ${NODE_MAX}`, value);
  if (!isOwn) throw argumentRangeError("node", "left out with base: that memory is the program's", value);
  if (kernel.bindNode === undefined) {
    throw new DmaWindowError(
      "ERR_NO_NODE_BINDING",
      `this kernel interface has no bindNode, so memory cannot be taken from NUMA node ${node}: leave node out`,
      { facts: { node } },
    );
  }
  const nodes = nodesOf(kernel)?.map(({ id }) => id);
  if (nodes === undefined || nodes.length === 0 || nodes.includes(node)) return node;
  throw new DmaWindowError(
    "ERR_NO_NODE",
    `there is no NUMA node ${node} on this machine; there ${nodes.length === 1 ? "is" : "are"} ${nodes.join(", ")}`,
    { facts: { node, nodes } },
  );
}

/**
 * The node's pool has as many free pages as are asked for, with those that the kernel may borrow: with fewer the mmap succeeds, and a
 * page is missing later. What counts is the most that there can be. Of the free ones some may be promised to others, which the
 * kernel counts for the machine as a whole and looks at in mmap (mm/hugetlb.c: hugetlb_acct_memory); where it borrows is known when
 * it has.
 * @throws `ERR_NODE_FULL` (facts: node, pageSize, wanted, free, total, surplus, borrowable).
 */
export function checkNodePool(kernel: Syscalls, node: number, pageSize: bigint, length: bigint): void {
  const pool = nodesOf(kernel)
    ?.find(({ id }) => id === node)
    ?.hugepages.find((one) => one.pageSize === pageSize);
  if (pool === undefined) return;
  const wanted = Number(length / pageSize); // below 2^52: hugepages
  const { free, total, surplus } = pool;
  const more = kernel.files === undefined ? 0 : borrowable(kernel.files, pageSize);
  if (wanted <= free + more) return;
  const file = `/sys/devices/system/node/node${node}/hugepages/hugepages-${pageSize >> 10n}kB/nr_hugepages`;
  throw new DmaWindowError(
    "ERR_NODE_FULL",
    `NUMA node ${node} has ${free} of ${total} pages of ${bytes(pageSize)} free, and ${wanted} are asked for. Counted are its ` +
      `free pages, promised to others or not${surplus === 0 ? "" : ` (${surplus} of all are surplus, and leave it when they are freed)`}, ` +
      `and ${more} that the kernel may borrow (nr_overcommit_hugepages): write a larger number to ${file}, allocate less, or leave node out`,
    { facts: { node, pageSize, wanted, free, total, surplus, borrowable: more } },
  );
}

/** Pages that were mmapped and are not present yet will come from one node. @throws `ERR_KERNEL` of mbind. */
export function bindTo(
  kernel: Syscalls,
  va: bigint,
  length: bigint,
  node: number,
  facts: Readonly<Record<string, unknown>>,
): void {
  const bound = kernel.bindNode?.(va, length, node) ?? 0;
  if (bound === 0) return;
  const about = `mbind of ${bytes(length)} at ${hex(va)} to NUMA node ${node}`;
  throw refusedByKernel("mbind", bound, { about, files: kernel.files, facts });
}

function nodesOf({ files }: Syscalls): readonly NumaNode[] | undefined {
  try {
    return files && readNodes(files);
  } catch {
    return undefined; // the kernel has the last word
  }
}
