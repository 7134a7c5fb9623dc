/** Regions of a device: their number and the flags of mmap tell the causes of one answer apart. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { callsNamed } from "../../src/explain/calls.ts";
import type { Asked } from "../../src/explain/cause.ts";
import { explainCall } from "../../src/explain/explanation.ts";

const [BAR0, ROM, CONFIG] = [0n, 6n, 7n];
const [MAP_SHARED, MAP_PRIVATE] = [1n, 2n];

const first = (call: string, answer: string, asked: Asked) => {
  const { causes, passed } = explainCall(call, answer, { asked });
  return { check: causes[0]?.check, verdict: causes[0]?.verdict, why: causes[0]?.why ?? "", passed };
};

test("mmap, EINVAL: a private mapping by its flags, and what is no BAR by its number", () => {
  const shared = first("mmap of a region", "EINVAL", { index: BAR0, flags: MAP_SHARED });
  assert.ok(shared.passed.includes("private"));
  const mine = first("mmap of a region", "EINVAL", { index: BAR0, flags: MAP_PRIVATE });
  assert.is(`${mine.check}: ${mine.verdict}`, "private: likely");
  assert.match(mine.why, "flags are 0x2");
  for (const [index, name] of [
    [ROM, "the ROM"],
    [CONFIG, "the configuration space"],
  ] as const) {
    const { check, why } = first("mmap of a region", "EINVAL", { index, flags: MAP_SHARED });
    assert.is(check, "not-mappable");
    assert.match(why, name);
  }
});

test("pwrite, EINVAL: the ROM can only be read, and a BAR ends somewhere", () => {
  assert.is(first("pwrite", "EINVAL", { index: ROM }).check, "read-only");
  assert.is(first("pwrite", "EINVAL", { index: BAR0 }).check, "past-the-end");
  assert.ok(first("pwrite", "EINVAL", { index: BAR0 }).passed.includes("read-only"));
});

test("pread, ENOMEM: only the ROM has an image that may be missing", () => {
  assert.is(first("pread", "ENOMEM", { index: ROM }).check, "no-image");
  assert.is(first("pread", "ENOMEM", { index: BAR0 }).check, "kernel-memory");
});

test("PCI_HOT_RESET, EINVAL: more groups than the bus has devices may be it, one is not", () => {
  const passed = (count: bigint) =>
    first("VFIO_DEVICE_PCI_HOT_RESET", "EINVAL", { count }).passed.includes("no-groups");
  assert.equal([0n, 1n, 2n].map(passed), [false, true, false]);
});

test("a number that no call has is explained all the same, those of /dev/iommu are not VFIO's", () => {
  assert.equal(callsNamed("99"), ["ioctl"]);
  assert.equal(callsNamed("0x3bc7"), ["ioctl"]);
  assert.equal(callsNamed("0x20003bc7", "powernv"), ["ioctl"]);
  assert.equal(callsNamed("0x3b81"), []);
  assert.is(first("ioctl", "ENOTTY", {}).check, "no-such-call");
});

test.run();
