/** The table itself: every cause can be named, found in the kernel's source, and done something about. */
import { constants } from "node:os";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ERRNO } from "../../src/errno.ts";
import { errnoName } from "../../src/errors.ts";
import { type Cause, CRASH, POSITIVE, SUCCESS } from "../../src/explain/cause.ts";
import { explainCall } from "../../src/explain/explanation.ts";
import type { JudgedCause } from "../../src/explain/judge.ts";
import { versionOf } from "../../src/explain/machine.ts";
import { orderedIds } from "../../src/explain/order.ts";
import { causes } from "../../src/explain/table.ts";
import { refusedByKernel } from "../../src/explain.ts";
import { VfioCall, vfioCallName } from "../../src/syscalls.ts";

const nameOf = ({ call, errno, iommu, id }: Cause) => `${call} ${errno} ${iommu ?? ""} ${id}`;

test("no cause has the name of another of the same answer", () => {
  const names = causes.flatMap(({ iommu = ["spapr", "type1", "noiommu"], ...cause }) =>
    iommu.map((kind) => nameOf({ ...cause, iommu: [kind] })),
  );
  assert.equal(
    names.filter((name, i) => names.indexOf(name) !== i),
    [],
  );
  assert.ok(causes.length > 150, `${causes.length} causes`);
});

test("the order of checks names only checks that there are, each once", () => {
  const known = new Set(causes.map(({ id }) => id));
  for (const [call, ids] of orderedIds()) {
    assert.equal(
      ids.filter((id, i) => !known.has(id) || ids.indexOf(id) !== i),
      [],
      call,
    );
  }
});

test("every errno is one of Linux's, and every call one that this library makes or knows", () => {
  const calls = [...Object.values(VfioCall).map(vfioCallName), "VFIO_IOMMU_GET_INFO"];
  const memory = ["mmap", "munmap", "madvise", "mbind"];
  const device = ["pread", "pwrite", "mmap of a region", "eventfd"];
  const around = ["mapped access", "prlimit", "mlock", "IOMMU_IOAS_MAP", "ioctl"];
  const others = ["open /dev/vfio/vfio", "open group", "close", ...memory, ...device, ...around, "any"];
  for (const cause of causes) {
    assert.ok([...calls, ...others].includes(cause.call), nameOf(cause));
    if ([POSITIVE, SUCCESS, CRASH].includes(cause.errno)) continue;
    const known = [...Object.keys(constants.errno), errnoName(-77), errnoName(-133)];
    assert.ok(known.includes(cause.errno), nameOf(cause));
  }
  const without = [...calls, ...others].filter((call) => !causes.some((cause) => cause.call === call));
  assert.equal(without, []);
});

test("every cause of this library's own calls is found by the number that the kernel answers", () => {
  for (const cause of causes) {
    if (cause.others || cause.errno === SUCCESS) continue;
    const answer = cause.errno === POSITIVE ? 5 : -ERRNO[cause.errno as keyof typeof ERRNO];
    const iommu = cause.iommu?.[0];
    const error = refusedByKernel("x", answer, { hint: cause.call, ...(iommu === undefined ? {} : { iommu }) });
    const found = (error.facts?.causes ?? []) as JudgedCause[];
    assert.ok(
      found.some(({ id }) => id === cause.id),
      `${nameOf(cause)}: ${error.message}`,
    );
  }
});

test("every cause that sums up no others is explained to whoever asks for its call and answer", () => {
  for (const cause of causes) {
    if (cause.summary || cause.call === "any") continue;
    const platform = cause.iommu?.[0];
    const { causes: found } = explainCall(cause.call, cause.errno, { platform });
    assert.ok(found.some(({ check }) => check === cause.id) || /^shape|firmware|view/.test(cause.id), nameOf(cause));
  }
});

test("no cause that sums up others stands alone: those others are there", () => {
  for (const cause of causes.filter(({ summary }) => summary)) {
    const finer = causes.filter(
      ({ call, errno, summary, iommu }) =>
        call === cause.call && errno === cause.errno && !summary && sharesOne(iommu, cause.iommu),
    );
    assert.ok(finer.length > 0, nameOf(cause));
  }
});

function sharesOne(a: Cause["iommu"], b: Cause["iommu"]): boolean {
  return a === undefined || b === undefined || a.some((kind) => b.includes(kind));
}

test("every cause says where the kernel has it from, and of which versions, in one form", () => {
  for (const cause of causes) {
    assert.match(cause.source, /^[a-z0-9]+\/\S+: .+$|^fs\/\S+: .+$|^mm\/\S+: .+$/i, nameOf(cause));
    for (const version of [cause.since, cause.before]) {
      if (version !== undefined) assert.ok((versionOf(version)?.length ?? 0) >= 2, nameOf(cause));
    }
    for (const text of [cause.why, cause.guards, cause.next]) {
      if (text === undefined) continue;
      assert.match(text, /^\S.*[^.\s]$/, nameOf(cause));
      assert.not.match(text, /\. Or /, nameOf(cause));
    }
  }
});

test("what would lower a guard says first what the guard protects", () => {
  const lowering =
    /unsafe|dma_entry_limit|lockdown|=off|=pt\b|0?666|setenforce|privileged|seccomp|profile|hugetlb\.|overcommit|\broot\b|\braise|ulimit|CAP_|\ballow|chmod|chown|udev|DeviceAllow|--device|devtmpfs|turn off|disable|_count\b|file-max/i;
  const guarded = causes.filter(({ next }) => next !== undefined && lowering.test(next));
  assert.ok(guarded.length >= 40, `${guarded.length} causes`);
  for (const cause of guarded) {
    if (/^touch the pages first/.test(cause.next ?? "")) continue;
    assert.ok(cause.guards !== undefined, `${nameOf(cause)}: ${cause.next}`);
  }
});

test("a user of type1 is told nothing of POWER, and one of POWER nothing of x86", () => {
  for (const cause of causes) {
    const text = [cause.why, cause.guards, cause.next].join(" ");
    const kinds = cause.iommu ?? [];
    if (kinds.includes("type1")) assert.not.match(text, /LPAR|POWER|spapr|\bTCE/, nameOf(cause));
    if (kinds.includes("spapr") && !kinds.includes("type1")) assert.not.match(text, /type1|x86|VT-d/, nameOf(cause));
  }
});

test.run();
