/** One errno has several causes: which comes first is what the machine's own files say. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { ERRNO } from "../../src/errno.ts";
import { POSITIVE } from "../../src/explain/cause.ts";
import type { JudgedCause } from "../../src/explain/judge.ts";
import { causes } from "../../src/explain/table.ts";
import { explain, type IommuKind, refusedByKernel } from "../../src/explain.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import type { MachineFiles } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";
import { faulty, no } from "../support/faulty.ts";
import { groupWith, limits, machine } from "./machine.ts";

const MiB = 1n << 20n;
const HUGE = "/sys/kernel/mm/hugepages/hugepages-2048kB";
const GROUP = "/sys/kernel/iommu_groups/26";

/** The ids of the causes with their verdicts, likeliest first. */
function order(call: string, errno: number, files?: MachineFiles, facts = {}, iommu?: IommuKind): string[] {
  const error = refusedByKernel("x", errno, { hint: call, files, facts, iommu });
  return ((error.facts?.causes ?? []) as JudgedCause[]).map(({ id, verdict }) => `${id}: ${verdict}`);
}

test("without files the causes stand in the order of the table, and none is sure", () => {
  const found = order("VFIO_GROUP_SET_CONTAINER", no.EINVAL, undefined, { group: 26 }, "type1");
  assert.equal(found.slice(0, 2), ["reserved-regions: possible", "has-container: possible"]);
  assert.ok(found.every((one) => one.endsWith("possible")));
});

test("SET_CONTAINER, EINVAL: firmware's regions are named where the group has some, and come last where it has none", () => {
  const rmrr = "0x00000000bdf6e000 0x00000000bdf84fff direct\n0x00000000fee00000 0x00000000feefffff msi\n";
  const files = machine({ [`${GROUP}/reserved_regions`]: rmrr });
  const words = explain("VFIO_GROUP_SET_CONTAINER", no.EINVAL, "type1", { files, facts: { group: 26 } });
  assert.match(words, /^EINVAL: firmware keeps memory.*0xbdf6e000-0xbdf84fff.*reserved_regions/);
  const none = machine(groupWith(26, "0000:01:00.0", "vfio-pci"));
  const last = order("VFIO_GROUP_SET_CONTAINER", no.EINVAL, none, { group: 26 }, "type1");
  assert.is(last.at(-1), "reserved-regions: unlikely");
  assert.match(explain("VFIO_GROUP_SET_CONTAINER", no.EINVAL, "type1", { files: none }), "RMRR");
});

test("a group that cannot be opened: which device has which driver", () => {
  const bound = (driver?: string) => machine(groupWith(26, "0000:01:00.0", driver));
  const open = (errno: number, files: MachineFiles) =>
    explain("open group", errno, "type1", { files, facts: { group: 26 } });
  assert.match(
    open(no.ENOENT, bound("ixgbe")),
    /^ENOENT: no device of group 26 is bound to VFIO \(0000:01:00.0 is bound to ixgbe\)/,
  );
  assert.match(open(no.ENOENT, bound()), /0000:01:00.0 has no driver/);
  assert.match(
    open(no.ENOENT, bound("vfio-pci")),
    /^ENOENT: 0000:01:00.0 is bound to VFIO, and this program's \/dev has no node/,
  );
  assert.match(
    open(no.ENOENT, machine(groupWith(3, "0000:02:00.0"))),
    /^ENOENT: the machine has no IOMMU group 26, but 3/,
  );
  assert.match(open(no.EBUSY, bound("vfio-pci")), /^EBUSY: a group opens once/);
});

test("EPERM of a group is a list of devices; only without an IOMMU it is CAP_SYS_RAWIO, and not where that is there", () => {
  const status = (capabilities: string) => machine({ "/proc/self/status": `CapEff:\t${capabilities}\nSeccomp:\t0\n` });
  assert.not.match(explain("open group", no.EPERM, "type1"), "RAWIO");
  assert.match(explain("open group", no.EPERM, "type1"), /^EPERM: a list of devices.*cgroup/);
  assert.match(explain("open group", no.EPERM, "noiommu"), /^EPERM: a no-IOMMU group needs CAP_SYS_RAWIO/);
  const facts = { files: status("0000000000000000") };
  assert.match(explain("open group", no.EPERM, "noiommu", facts), /which this process does not have/);
  const root = { files: status("000001ffffffffff") };
  assert.match(
    explain("open group", no.EPERM, "noiommu", root),
    /^EPERM: a list of devices.*It is not that CAP_SYS_RAWIO is missing/,
  );
});

test("root's capabilities in a container of its own do not count", () => {
  const files = machine({
    "/proc/self/status": "CapEff:\t000001ffffffffff\nVmLck:\t    8192 kB\n",
    "/proc/self/limits": limits({ "Max locked memory": "8388608" }),
    "/proc/self/ns/user": "->user:[4026532000]",
  });
  const words = explain("VFIO_IOMMU_MAP_DMA", no.ENOMEM, "type1", { files, facts: { length: MiB } });
  assert.match(words, /^ENOMEM: 8 MiB are locked of the 8 MiB that RLIMIT_MEMLOCK allows, and 1 MiB would come on top/);
});

test("a map's ENOMEM: RLIMIT_MEMLOCK with its numbers, or the word that it is not that", () => {
  const with_ = (capabilities: string, limit: string) =>
    machine({
      "/proc/self/status": `CapEff:\t${capabilities}\nVmLck:\t    4096 kB\n`,
      "/proc/self/limits": limits({ "Max locked memory": limit }),
    });
  const map = (files: MachineFiles) => order("VFIO_IOMMU_MAP_DMA", no.ENOMEM, files, { length: 2n * MiB }, "type1")[0];
  assert.is(map(with_("0000000000000000", "4194304")), "locked-memory: sure");
  assert.is(map(with_("0000000000000000", "67108864")), "kernel-memory: possible");
  const unlimited = explain("VFIO_IOMMU_MAP_DMA", no.ENOMEM, "type1", {
    files: with_("0000000000000000", "unlimited"),
  });
  assert.match(
    unlimited,
    /^ENOMEM: the kernel has no memory.*It is not that RLIMIT_MEMLOCK is too low: there is no limit/,
  );
});

test("a map's ENOMEM: the tightest memory cgroup, of either version, with its file", () => {
  const asked = (files: Record<string, string>) => {
    const all = machine({ "/proc/self/limits": limits({ "Max locked memory": "unlimited" }), ...files });
    return {
      words: explain("VFIO_IOMMU_MAP_DMA", no.ENOMEM, "type1", { files: all }),
      verdicts: order("VFIO_IOMMU_MAP_DMA", no.ENOMEM, all, {}, "type1"),
    };
  };
  const group = (at: string, [limit, most]: readonly [string, string], [used, count]: readonly [string, number]) => ({
    [`${at}/memory.${limit}`]: `${most}\n`,
    [`${at}/memory.${used}`]: `${count}\n`,
  });
  const second = asked({
    "/proc/self/cgroup": "0::/job/task\n",
    "/proc/self/mountinfo": "36 25 0:31 / /mnt/unified rw - cgroup2 cgroup2 rw\n",
    ...group("/mnt/unified/job/task", ["max", "max"], ["current", 1]),
    ...group("/mnt/unified/job", ["max", `${64n * MiB}`], ["current", 60 << 20]),
  });
  assert.match(second.words, "/mnt/unified/job/memory.max allows 64 MiB, of which 60 MiB are used");
  const first = asked({
    "/proc/self/cgroup": "4:memory:/x\n",
    "/proc/self/mountinfo": "36 25 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
    ...group("/sys/fs/cgroup/memory/x", ["limit_in_bytes", `${64n * MiB}`], ["usage_in_bytes", 60 << 20]),
  });
  assert.match(first.words, "/sys/fs/cgroup/memory/x/memory.limit_in_bytes allows 64 MiB, of which 60 MiB are used");
  for (const none of [
    { "/proc/self/cgroup": "0::/\n", ...group("/sys/fs/cgroup", ["max", "max"], ["current", 1]) },
    {
      "/proc/self/cgroup": "4:memory:/\n",
      ...group("/sys/fs/cgroup/memory", ["limit_in_bytes", "9223372036854771712"], ["usage_in_bytes", 1]),
    },
  ]) {
    assert.ok(asked(none).verdicts.includes("kernel-memory: unlikely"), asked(none).verdicts.join());
  }
});

test("mmap's ENOMEM: the pool of that page size, with its file and count", () => {
  const pool = (free: string, total = "4") =>
    machine({
      [`${HUGE}/nr_hugepages`]: `${total}\n`,
      [`${HUGE}/free_hugepages`]: `${free}\n`,
      [`${HUGE}/resv_hugepages`]: "1\n",
    });
  const facts = { length: 4n * MiB, pageSize: 2n * MiB, hugetlb: true };
  const words = explain("mmap", no.ENOMEM, undefined, { files: pool("2"), facts });
  assert.is(
    words,
    `ENOMEM: the pool of 2 MiB pages has 2 of 4 free, 1 of these promised to others, and 2 are asked for: write a larger number to ${HUGE}/nr_hugepages, or ask for fewer`,
  );
  const enough = explain("mmap", no.ENOMEM, undefined, { files: pool("4"), facts });
  assert.match(enough, /4 of 4 free.*a moment ago.*Or a hugetlb cgroup.*Or .*ulimit -v/);
  const node = "/sys/devices/system/node/node1/hugepages/hugepages-2048kB";
  const ofNode = machine({ [`${node}/nr_hugepages`]: "1\n", [`${node}/free_hugepages`]: "0\n" });
  assert.match(
    explain("mmap", no.ENOMEM, undefined, { files: ofNode, facts: { ...facts, node: 1 } }),
    /^ENOMEM: the pool of 2 MiB pages of NUMA node 1 has 0 of 1 free.*node1\/hugepages\/hugepages-2048kB\/nr_hugepages/,
  );
  const unknown = explain("mmap", no.ENOMEM, undefined, { facts: { ...facts, pageSize: 1n << 30n } });
  assert.match(unknown, /^ENOMEM: the pool of 1 GiB pages.*hugepages-1048576kB\/nr_hugepages/);
  const small = explain("mmap", no.ENOMEM, undefined, {
    files: pool("0"),
    facts: { length: MiB, pageSize: 4096n, hugetlb: false },
  });
  assert.not.match(small, /pool|hugetlb/);
});

test("mmap's ENOMEM: a hugetlb cgroup, its own or one above it, of either version", () => {
  const pool = { [`${HUGE}/nr_hugepages`]: "64\n", [`${HUGE}/free_hugepages`]: "64\n" };
  const facts = { length: 4n * MiB, pageSize: 2n * MiB, hugetlb: true };
  const inGroup = (entries: Record<string, string>) =>
    explain("mmap", no.ENOMEM, undefined, { files: machine({ ...pool, ...entries }), facts });
  const v2 = inGroup({
    "/proc/self/cgroup": "0::/kubepods/pod1\n",
    "/sys/fs/cgroup/kubepods/pod1/hugetlb.2MB.max": "max\n",
    "/sys/fs/cgroup/kubepods/pod1/hugetlb.2MB.current": "0\n",
    "/sys/fs/cgroup/kubepods/hugetlb.2MB.max": "4194304\n",
    "/sys/fs/cgroup/kubepods/hugetlb.2MB.current": "2097152\n",
  });
  assert.match(
    v2,
    /^ENOMEM: \/sys\/fs\/cgroup\/kubepods\/hugetlb\.2MB\.max allows 4 MiB, of which 2 MiB are used: the limit keeps one/,
  );
  const v1 = inGroup({
    "/proc/self/cgroup": "12:hugetlb:/docker/abc\n0::/\n",
    "/sys/fs/cgroup/hugetlb/docker/abc/hugetlb.2MB.limit_in_bytes": "2097152\n",
    "/sys/fs/cgroup/hugetlb/docker/abc/hugetlb.2MB.usage_in_bytes": "0\n",
  });
  assert.match(v1, /^ENOMEM: .*docker\/abc\/hugetlb\.2MB\.limit_in_bytes allows 2 MiB/);
  const elsewhere = inGroup({ "/proc/self/cgroup": `0::${"/..".repeat(40)}\n` });
  assert.match(elsewhere, /^ENOMEM: the pool/);
});

test("mmap's ENOMEM: address space (ulimit -v), pieces of it, and what may be promised", () => {
  const facts = { length: 1n << 40n, pageSize: 4096n, hugetlb: false };
  const words = (entries: Record<string, string>) =>
    explain("mmap", no.ENOMEM, undefined, { files: machine(entries), facts });
  const limited = words({
    "/proc/self/limits": limits({ "Max address space": "8589934592", "Max data size": "unlimited" }),
    "/proc/self/status": "VmSize:\t 1048576 kB\n",
  });
  assert.match(
    limited,
    /^ENOMEM: the process has 1 GiB of address space of the 8 GiB that it may have: the limit keeps one program from .*; raise it \(ulimit -v/,
  );
  const pieces = words({
    "/proc/sys/vm/max_map_count": "5\n",
    "/proc/self/maps": "1000-2000 r--p\n".repeat(4),
  });
  assert.match(pieces, /^ENOMEM: the process has 4 pieces of address space, and may have 5/);
  const strict = words({
    "/proc/sys/vm/overcommit_memory": "2\n",
    "/proc/meminfo": "CommitLimit:    1048576 kB\nCommitted_AS:    524288 kB\n",
  });
  assert.match(strict, /^ENOMEM: vm.overcommit_memory is 2, and 512 MiB of the 1 GiB of CommitLimit are promised/);
});

test("address space that is only kept takes no page: neither pool nor cgroup is to blame where there is none", () => {
  const kernel = faulty(modelKernel({ hugepages: { 21: 0 } }), { call: "mmap", answer: no.ENOMEM });
  const memory = new MemsegTable({ kernel });
  const error = failure("ERR_KERNEL", () => memory.addList({ pageSize: 2n * MiB, maxBytes: 1n << 40n }));
  assert.match(error.message, /ENOMEM: the process may have no more address space.*ulimit -v/);
  assert.not.match(error.message, /pool|cgroup, as|ulimit -d|overcommit/);
});

test("the interrupts' guard is explained before it is named, and is none where it is lowered already", () => {
  const words = explain("VFIO_SET_IOMMU", no.EPERM, "type1");
  assert.ok(words.indexOf("raising any interrupt") < words.indexOf("allow_unsafe_interrupts=1"));
  assert.ok(words.indexOf("raising any interrupt") > 0);
  const files = machine({ "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts": "Y\n" });
  assert.not.match(explain("VFIO_SET_IOMMU", no.EPERM, "type1", { files }), "allow_unsafe_interrupts=1");
});

test("a cause of another version of Linux comes last, and is not left out", () => {
  const release = (text: string) => machine({ "/proc/sys/kernel/osrelease": text });
  const busy = (text: string) => order("open group", no.EBUSY, release(text), {}, "type1");
  assert.equal(busy("6.12.107+deb13-amd64\n"), [
    "other-opener: possible",
    "device-opened: possible",
    "other-driver: unlikely",
  ]);
  assert.equal(busy("5.15.0-91-generic\n"), [
    "other-opener: possible",
    "other-driver: possible",
    "device-opened: unlikely",
  ]);
  assert.equal(busy("a kernel\n").length, 3);
});

test("an answer whose every known cause is ruled out says what else it may be", () => {
  const root = machine({ "/proc/self/status": "CapEff:\t000001ffffffffff\nSeccomp:\t0\n" });
  const words = explain("VFIO_SET_IOMMU", no.EPERM, "noiommu", { files: root });
  assert.match(
    words,
    /^EPERM: a security policy .*denial. It is not that CAP_SYS_RAWIO is missing: this process has it$/,
  );
  const on = machine({ "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode": "Y\n" });
  assert.match(
    explain("VFIO_SET_IOMMU", no.ENODEV, "noiommu", { files: on }),
    /^ENODEV: the device, or its IOMMU, has gone/,
  );
  // Whatever the machine says of itself, no answer is left with what it is not.
  for (const { call, errno, iommu = [undefined] } of causes) {
    const answer = errno === POSITIVE ? 5 : -ERRNO[errno as keyof typeof ERRNO];
    for (const kind of iommu) {
      assert.not.match(explain(call, answer, kind, { files: root }), /^\S+: It is not|^\S+: $/, `${call} ${errno}`);
    }
  }
});

test("a group that the machine does not have is another thing than an IOMMU that is off", () => {
  const has = machine(groupWith(26, "0000:01:00.0", "vfio-pci"));
  assert.is(order("open group", no.ENOENT, has, { group: 99 }, "type1")[0], "no-such-group: sure");
  assert.not.ok(order("open group", no.ENOENT, has, { group: 99 }, "type1").join().includes("iommu-off"));
  const none: MachineFiles = { ...has, names: (path) => (path === "/sys/kernel/iommu_groups" ? [] : has.names(path)) };
  assert.equal(order("open group", no.ENOENT, none, { group: 99 }, "type1")[0], "iommu-off: sure");
});

test("a node that a user may not open names the user, where that is known", () => {
  const status = (text: string) => machine({ "/proc/self/status": `CapEff:\t0000000000000000\n${text}` });
  const open = (files: MachineFiles) => explain("open group", no.EACCES, "type1", { files });
  assert.match(open(status("Uid:\t1000\t1000\t1000\t1000\n")), /^EACCES: user 1000 may not open the node: who may/);
  assert.match(open(status("")), /^EACCES: this user may not open the node: who may/);
});

test("files that throw, and files with nonsense in them, cost the words nothing", () => {
  const throwing = () => {
    throw new Error("no");
  };
  const bad = { text: throwing, names: throwing, link: throwing };
  const nonsense: MachineFiles = { text: () => "§\n0xzz 0x 1 direct\n", names: () => ["x"], link: () => "" };
  for (const files of [bad, nonsense]) {
    for (const call of [
      "open group",
      "open /dev/vfio/vfio",
      "VFIO_GROUP_SET_CONTAINER",
      "VFIO_SET_IOMMU",
      "mmap",
      "munmap",
      "mbind",
      "VFIO_IOMMU_MAP_DMA",
    ]) {
      for (const errno of Object.values(no)) {
        const facts = { group: 26, length: 1n, iova: 0n, va: 0n, pageSize: 1n << 21n, hugetlb: true, node: 0 };
        for (const iommu of ["type1", "spapr", "noiommu"] as const) {
          assert.type(explain(call, errno, iommu, { files, facts }), "string");
        }
      }
    }
  }
});

test("a message tells a few causes, and how many more there are; facts have all, as plain data", () => {
  const error = refusedByKernel("VFIO_IOMMU_MAP_DMA", no.EFAULT, { iommu: "type1", facts: { iova: 1n } });
  const causes = error.facts?.causes as JudgedCause[];
  assert.is(causes.length, 5);
  assert.match(error.message, /Or one of 1 more, in facts\.causes$/);
  assert.is(error.message.split(". Or ").length, 5);
  assert.equal(JSON.parse(JSON.stringify(causes)), causes);
  assert.ok(causes.every(({ says, source }) => says.length > 0 && source.includes(": ")));
});

test("what a kernel says of itself comes through whatever stands in front of it, to openContainer and to allocate", () => {
  const kernel = faulty(modelKernel({ platform: "type1" }), { call: "GROUP_SET_CONTAINER", answer: no.EINVAL });
  const refused = failure("ERR_KERNEL", () => openContainer({ kernel, groups: [26] }));
  assert.match(refused.message, "RMRR");
  const empty = modelKernel({ hugepages: { 21: 1 } });
  const memory = new MemsegTable({ kernel: empty });
  const list = memory.addList({ pageSize: 2n * MiB, maxBytes: 8n * MiB });
  const full = failure("ERR_KERNEL", () => memory.allocate(list, 3));
  assert.match(
    full.message,
    /the pool of 2 MiB pages has 1 of 1 free, and 3 are asked for.*hugepages-2048kB\/nr_hugepages/,
  );
  memory.close();
});

test.run();
