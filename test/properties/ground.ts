/**
 * The memory that a program has from the beginning, in three places:
 *
 *     0x10000000   SMALL   pages of the CPU: 0..31 writable, 32 may only be read, 33..39 writable, 40.. not there
 *     0x20000000   OWN     what lists with a base of the program's lie in: pages of the CPU; without an IOMMU hugepages
 *     0x40000000   HUGE    hugepages
 *     0x60000000   the end
 */
import * as assert from "uvu/assert";
import type { ModelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";

export const SMALL = 0x1000_0000n;
export const SMALL_PAGES = 40;
const READ_ONLY_PAGE = 32n;
export const OWN = 0x2000_0000n;
export const OWN_PAGES = 64;
export const HUGE = 0x4000_0000n;
export const HUGE_PAGES = 8;
export const GROUND_END = 0x6000_0000n;

const { READ, WRITE } = Protection;

/** Maps all of it. `ownPage`: bytes of a page of OWN, the CPU's or `hugePage`. */
export function layOut(model: ModelKernel, hugePage: bigint, ownPage: bigint): void {
  const cpuPage = BigInt(model.pageSize);
  const place = (va: bigint, length: bigint, protection: number, isHuge: boolean) => {
    const shift = isHuge ? hugePage.toString(2).length - 1 : 0;
    const flags = MapFlag.FIXED | (isHuge ? MapFlag.HUGETLB : 0);
    assert.is(model.mmap(va, length, protection, flags, shift), va);
  };
  place(SMALL, BigInt(SMALL_PAGES) * cpuPage, READ | WRITE, false);
  place(SMALL + READ_ONLY_PAGE * cpuPage, cpuPage, READ, false);
  place(HUGE, BigInt(HUGE_PAGES) * hugePage, READ | WRITE, true);
  if (ownPage === cpuPage) {
    place(OWN, BigInt(OWN_PAGES) * ownPage, READ | WRITE, false);
    return;
  }
  // One by one: they lie in physical memory in the order in which somebody asks where, so some follow one another.
  for (let i = 0; i < OWN_PAGES; i++) place(OWN + BigInt(i) * ownPage, ownPage, READ | WRITE, true);
}
