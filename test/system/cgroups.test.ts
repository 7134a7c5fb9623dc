/** What the hugetlb cgroups of a process allow: both versions, every level, and files that are not there. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel } from "../../src/linux/index.ts";
import type { MachineFiles } from "../../src/syscalls.ts";
import { hugetlbLimit } from "../../src/system/cgroups.ts";

const MiB = 1n << 20n;
const [TWO, ONE_GIG] = [2n * MiB, 1n << 30n];

const filesOf = (texts: Readonly<Record<string, string>>): MachineFiles => ({
  text: (path) => texts[path] ?? -2,
  names: () => -2,
  link: () => -2,
});

/** What is left, of what is present or promised. */
function room(files: MachineFiles, pageSize: bigint): bigint | undefined {
  const found = hugetlbLimit(files, pageSize, "either");
  return found && found.limit - found.used;
}

const V2 = "/sys/fs/cgroup";
const V1 = "/sys/fs/cgroup/hugetlb";

test("version 2: what is left of the limit, of every cgroup up to the root the least", () => {
  const texts = {
    "/proc/self/cgroup": "0::/a/b\n",
    [`${V2}/a/b/hugetlb.2MB.max`]: `${64n * MiB}\n`,
    [`${V2}/a/b/hugetlb.2MB.current`]: `${4n * MiB}\n`,
    [`${V2}/a/hugetlb.2MB.max`]: "max\n",
    [`${V2}/a/hugetlb.2MB.current`]: "0\n",
  };
  assert.is(room(filesOf(texts), TWO), 60n * MiB);
  assert.is(room(filesOf(texts), ONE_GIG), undefined);
  const above = { ...texts, [`${V2}/a/hugetlb.2MB.max`]: `${10n * MiB}\n` };
  assert.is(room(filesOf(above), TWO), 10n * MiB);
  const reserved = {
    ...texts,
    [`${V2}/a/b/hugetlb.2MB.rsvd.max`]: `${8n * MiB}\n`,
    [`${V2}/a/b/hugetlb.2MB.rsvd.current`]: `${6n * MiB}\n`,
  };
  assert.is(room(filesOf(reserved), TWO), TWO);
});

test("in a namespace the process's cgroup is the root that it sees", () => {
  for (const path of ["/", "/../.."]) {
    const texts = {
      "/proc/self/cgroup": `0::${path}\n`,
      [`${V2}/hugetlb.1GB.max`]: `${ONE_GIG}`,
      [`${V2}/hugetlb.1GB.current`]: `${2n * ONE_GIG}`,
    };
    assert.is(room(filesOf(texts), ONE_GIG), -ONE_GIG);
  }
});

test("version 1, beside other hierarchies", () => {
  const texts = {
    "/proc/self/cgroup": "12:memory:/m\n7:hugetlb,misc:/x\n1:name=systemd:/s\n0::/u\n",
    [`${V1}/x/hugetlb.64KB.limit_in_bytes`]: `${ONE_GIG}\n`,
    [`${V1}/x/hugetlb.64KB.usage_in_bytes`]: "65536\n",
  };
  assert.is(room(filesOf(texts), 65536n), ONE_GIG - 65536n);
  // The number that stands there where nothing was limited.
  const open = { ...texts, [`${V1}/x/hugetlb.64KB.limit_in_bytes`]: "9223372036854710272\n" };
  assert.is(room(filesOf(open), 65536n), undefined);
});

test("where nothing is said, nothing is known", () => {
  assert.is(room(filesOf({}), TWO), undefined);
  assert.is(room(filesOf({ "/proc/self/cgroup": "nonsense\n0::no\n" }), TWO), undefined);
  const half = { "/proc/self/cgroup": "0::/a\n", [`${V2}/a/hugetlb.2MB.max`]: "5\n" };
  assert.is(room(filesOf(half), TWO), undefined);
  const odd = { ...half, [`${V2}/a/hugetlb.2MB.current`]: "-3\n" };
  assert.is(room(filesOf(odd), TWO), undefined);
});

test("this machine's can be asked", () => {
  const { files } = linuxKernel();
  const left = room(files as MachineFiles, TWO);
  assert.ok(left === undefined || typeof left === "bigint");
});

test.run();
