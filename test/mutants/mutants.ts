import { sharedPoolMutants } from "./shared-pool.ts";

/** Ways to break the library, and the test that notices each. `npm run mutants` puts them in, one by one, in a copy. */
export interface Mutant {
  /** What is broken, in the words of docs/testing.md, which has the list too. */
  readonly broken: string;
  readonly file: string;
  /** Stands in the file once; `to` takes its place. */
  readonly from: string;
  readonly to: string;
  /** The test file that fails then. */
  readonly noticedBy: string;
}

export const mutants: readonly Mutant[] = [
  {
    broken: "UNMAP is handed the struct of a map",
    file: "assembly/structs.ts",
    from: "  store<u32>(at, UNMAP_BYTES);\n  store<u32>(at, 0, 4);\n  store<u64>(at, iova, 8);\n  store<u64>(at, length, 16);",
    to: "  store<u32>(at, MAP_BYTES);\n  store<u32>(at, 0, 4);\n  store<u64>(at, 0, 8);\n  store<u64>(at, iova, 16);\n  store<u64>(at, length, 24);",
    noticedBy: "test/defects/unmapping.test.ts",
  },
  {
    broken: "a request is not held against the window's end",
    file: "assembly/requests.ts",
    from: "  if (!inWindow(window, iova(i), bytes)) return status.OUTSIDE_WINDOW;\n",
    to: "",
    noticedBy: "test/container/refused-maps.test.ts",
  },
  {
    broken: "a range that wraps at 2^64 exists",
    file: "assembly/range.ts",
    from: "return length != 0 && length - 1 <= ~start;",
    to: "return length != 0;",
    noticedBy: "test/core/range.test.ts",
  },
  {
    broken: "a range's end is formed by adding, and wraps",
    file: "assembly/range.ts",
    from: "start <= outerLast && length - 1 <= outerLast - start",
    to: "start + length - 1 <= outerLast",
    noticedBy: "test/core/range.test.ts",
  },
  {
    broken: "a live IOVA is mapped over without a word",
    file: "assembly/maps.ts",
    from: "  if (anyLive(window, iova(i), iovaLast(i))) return status.ALREADY_LIVE;\n",
    to: "",
    noticedBy: "test/container/refused-maps.test.ts",
  },
  {
    broken: "REGISTER is kept when MAP fails",
    file: "assembly/maps.ts",
    from: "    if ((state(request) & REGISTERED) != 0) calls.appendUnregister(request, va(request), length(request));\n",
    to: "",
    noticedBy: "test/container/failing-maps.test.ts",
  },
  {
    broken: "UNREGISTER goes out after its UNMAP failed",
    file: "assembly/maps.ts",
    from: "  while (at < total && calls.requestAt(at) == i) at++;\n",
    to: "",
    noticedBy: "test/core/requests-failures.test.ts",
  },
  {
    broken: "EEXIST is taken for success",
    file: "assembly/maps.ts",
    from: "    if (calls.resultAt(k) != 0) return false;",
    to: "    if (calls.resultAt(k) != 0 && calls.resultAt(k) != -17) return false;",
    noticedBy: "test/container/type1-maps.test.ts",
  },
  {
    broken: "an unmap may cut a map of type1",
    file: "assembly/unmaps.ts",
    from: "hasMaps(container) && cutsMap(container, iova(i), iovaLast(i)) ? status.CUTS_MAP : status.OK",
    to: "status.OK",
    noticedBy: "test/container/type1-maps.test.ts",
  },
  {
    broken: "what type1 says to have unmapped is not looked at",
    file: "assembly/requests.ts",
    from: "    if (asked && unmappedLength(calls.structAt(k)) != length(calls.requestAt(k))) break;\n",
    to: "    if (asked && false) break;\n",
    noticedBy: "test/container/type1-maps.test.ts",
  },
  {
    broken: "the holes of type1 are not kept free",
    file: "src/container/backend/type1.ts",
    from: "forbidden: pagesOver(holes, plan.pageShift, window)",
    to: "forbidden: []",
    noticedBy: "test/container/type1-windows.test.ts",
  },
  {
    broken: "where nobody names the interrupts their place is given out",
    file: "src/container/backend/machine-ranges.ts",
    from: "...(isTold ? [] : interruptsOf(kernel))",
    to: "",
    noticedBy: "test/container/type1-machine-ranges.test.ts",
  },
  {
    broken: "a window over holes is planned with lists on top of each other",
    file: "src/plan/place.ts",
    from: "    free = without(free, { start, last });\n",
    to: "",
    noticedBy: "test/container/type1-places.test.ts",
  },
  {
    broken: "the default window is removed while it is in use",
    file: "src/container/backend/spapr.ts",
    from: "this.#hasDefaultWindow && this.#defaultUsedAt === undefined) {",
    to: "this.#hasDefaultWindow) {",
    noticedBy: "test/container/default-window.test.ts",
  },
  {
    broken: "the default window is not put back",
    file: "src/container/backend/spapr.ts",
    from: "      if (removedDefault) this.#restoreDefault(info, left);\n",
    to: "",
    noticedBy: "test/container/create-window.test.ts",
  },
  {
    broken: "an LPAR is asked for a second window",
    file: "src/container/backend/spapr.ts",
    from: 'const firmware = info.platform === "pseries" && ',
    to: "const firmware = false && ",
    noticedBy: "test/container/slots.test.ts",
  },
  {
    broken: "a group stays open when SET_IOMMU fails",
    file: "src/container/open.ts",
    from: "closeFiles(kernel, [...groupFds, containerFd])",
    to: "closeFiles(kernel, [containerFd])",
    noticedBy: "test/container/open.test.ts",
  },
  {
    broken: "what a failed map left behind is not said",
    file: "src/container/calls.ts",
    from: "  throw withResidue(failure, left);\n",
    to: "  throw failure;\n",
    noticedBy: "test/container/failing-maps.test.ts",
  },
  {
    broken: "what an interface may have done when it threw is taken for not done",
    file: "src/container/calls.ts",
    from: "  if (doubt < count) assumeMade(failed);\n",
    to: "",
    noticedBy: "test/container/thrown.test.ts",
  },
  {
    broken: "an operation begins in the middle of another",
    file: "src/exclusive.ts",
    from: "  if (underWay !== undefined) throw busy(operation, underWay);\n",
    to: "",
    noticedBy: "test/container/called-back.test.ts",
  },
  {
    broken: "memory of another kernel is attached",
    file: "src/container/container.ts",
    from: "    if (isSameKernel(memory.kernel ?? this.#kernel, this.#kernel)) return;\n",
    to: "    if (memory !== undefined) return;\n",
    noticedBy: "test/memory/other-kernels.test.ts",
  },
  {
    broken: "a physical address is believed",
    file: "src/container/physical.ts",
    from: "      if (physical !== expected)\n",
    to: "      if (physical !== expected && iova === NO_ADDRESS)\n",
    noticedBy: "test/container/no-iommu.test.ts",
  },
  {
    broken: "a device may write what it may only read",
    file: "src/container/requests.ts",
    from: "(read ? 1 : 0) | (write ? 2 : 0)",
    to: "3",
    noticedBy: "test/container/map.test.ts",
  },
  ...sharedPoolMutants,
];
