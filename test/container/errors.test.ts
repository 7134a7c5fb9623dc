/** The words: what the kernel's answers mean, and what an error says is left. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DmaWindowError, leftBy, withoutResidue, withResidue } from "../../src/errors.ts";
import { explain, refusedByKernel } from "../../src/explain.ts";
import { no } from "../support/faulty.ts";

test("an answer is explained by its call and errno, by the errno alone, or as a number that is none", () => {
  assert.match(explain("VFIO_IOMMU_SPAPR_TCE_CREATE", no.ENOSPC), /^ENOSPC: both windows/);
  assert.is(explain("VFIO_IOMMU_SPAPR_TCE_CREATE", no.EXDEV), "EXDEV");
  assert.is(explain("no such call", no.ENOSPC), "ENOSPC");
  assert.is(explain("VFIO_IOMMU_MAP_DMA", -4000), "errno 4000");
  assert.is(explain("VFIO_IOMMU_MAP_DMA", 17), "the answer was 17, which means failure");
});

test("what differs from IOMMU to IOMMU is said of the one it is, and not at all where that is not known", () => {
  const map = (errno: number, iommu?: "spapr" | "type1" | "noiommu") => explain("VFIO_IOMMU_MAP_DMA", errno, iommu);
  assert.match(map(no.EINVAL, "spapr"), "registered");
  assert.match(map(no.EINVAL, "type1"), "does not allow these IOVAs");
  assert.is(map(no.EINVAL), "EINVAL");
  assert.is(map(no.EINVAL, "noiommu"), "EINVAL");
  assert.match(map(no.EEXIST, "type1"), "nothing was mapped");
  assert.match(map(no.ENOSPC, "type1"), "dma_entry_limit");
  assert.match(map(no.EFAULT, "type1"), "writable");
  assert.match(map(no.ENOMEM, "type1"), "counts twice");
  assert.match(explain("VFIO_IOMMU_UNMAP_DMA", no.EINVAL, "type1"), "cut");
  assert.match(explain("VFIO_SET_IOMMU", no.EPERM, "type1"), "allow_unsafe_interrupts");
  assert.match(explain("VFIO_SET_IOMMU", no.EINVAL, "type1"), "has no group");
});

test("a user of type1 is told nothing of POWER, and one of POWER nothing of x86", () => {
  const calls = [
    "open group",
    "VFIO_GROUP_SET_CONTAINER",
    "VFIO_SET_IOMMU",
    "VFIO_IOMMU_MAP_DMA",
    "VFIO_IOMMU_UNMAP_DMA",
  ];
  for (const call of calls) {
    for (const answer of Object.values(no)) {
      assert.not.match(explain(call, answer, "type1"), /LPAR|POWER|spapr|TCE|regist/i);
      assert.not.match(explain(call, answer, "noiommu"), /LPAR|POWER|spapr|TCE|regist|type1/i);
      assert.not.match(explain(call, answer, "spapr"), /type1|dma_entry_limit|x86/i);
    }
  }
});

test("an error of the kernel has the call, and the errno when there is one", () => {
  const refused = refusedByKernel("VFIO_IOMMU_MAP_DMA", no.ENXIO, {
    about: "that",
    iommu: "spapr",
    facts: { iova: 1n },
  });
  assert.match(refused.message, /^that: ENXIO: the window is gone/);
  assert.equal([refused.code, refused.errno, refused.syscall], ["ERR_KERNEL", no.ENXIO, "VFIO_IOMMU_MAP_DMA"]);
  assert.is(refused.facts?.iova, 1n);
  assert.equal(refusedByKernel("VFIO_IOMMU_MAP_DMA", no.EXDEV, { facts: { iova: 1n } }).facts, { iova: 1n });
  assert.is(refusedByKernel("VFIO_IOMMU_MAP_DMA", no.EXDEV).facts, undefined);
  assert.is(refusedByKernel("VFIO_IOMMU_MAP_DMA", 1).errno, undefined);
});

test("residue is added to an error, and to what it had already; everything else about it stays", () => {
  const options = { errno: no.EIO, syscall: "close", facts: { fd: 3 } };
  const error = new DmaWindowError("ERR_X", "it failed", options);
  assert.is(withResidue(error, []), error);
  const once = withResidue(error, ["a"]) as DmaWindowError;
  assert.equal(
    [once.code, once.errno, once.syscall, once.facts, once.cause],
    ["ERR_X", no.EIO, "close", { fd: 3 }, error],
  );
  assert.is(once.message, "it failed; left behind: a");
  const twice = withResidue(once, ["b", "c"]) as DmaWindowError;
  assert.equal(twice.residue?.left, ["a", "b", "c"]);
  assert.is(withoutResidue(twice), error);
  assert.is(withoutResidue(error), error);
});

test("errors that are not ours pass through, and where something is left they are the cause of one that says so", () => {
  const error = new Error("something else");
  assert.is(withResidue(error, []), error);
  const told = withResidue(error, ["a"]) as DmaWindowError;
  assert.equal([told.code, told.residue?.left, told.cause], ["ERR_INTERFACE", ["a"], error]);
  assert.match(told.message, "something else; left behind: a");
  assert.is(withoutResidue(error), error);
  assert.is(withoutResidue("a string"), "a string");
});

test("what an undo leaves: nothing, what the error that it gives names, or that it threw", () => {
  const named = withResidue(new DmaWindowError("ERR_X", "it failed"), ["a"]);
  const throwing = (error: unknown) => () => {
    throw error;
  };
  assert.equal(
    leftBy(() => undefined),
    [],
  );
  assert.equal(
    leftBy(() => 5),
    [],
  );
  assert.equal(
    leftBy(() => named),
    ["a"],
  );
  assert.equal(
    leftBy(() => new DmaWindowError("ERR_X", "it failed")),
    ["it failed"],
  );
  assert.equal(leftBy(throwing(new Error("no"))), ["no"]);
  assert.equal(leftBy(throwing(named), "b stays"), ["b stays (it failed)", "a"]);
  assert.equal(leftBy(throwing("no"), "b stays"), ["b stays (no)"]);
});

test.run();
