/** allocate gives pages that are present: where they cannot be, it says what pool and cgroups allow, and leaves nothing. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import { type MachineFiles, MapFlag, Protection, type Syscalls } from "../../src/syscalls.ts";
import { hugetlbLimit, memoryLimit } from "../../src/system/cgroups.ts";
import { poolIn } from "../../src/system/hugepages.ts";
import { failure } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { MiB } from "../support/program.ts";

const RW = Protection.READ | Protection.WRITE;
const HUGE = 2n * MiB;

function files(texts: Record<string, string>): MachineFiles {
  const absent = () => no.ENOENT as number;
  return { text: (path) => texts[path] ?? absent(), names: absent, link: absent };
}

test("more hugepages than the cgroup allows are refused with the numbers, and all is as before", () => {
  const kernel = modelKernel({ hugepages: { 21: 8 }, hugepageLimits: { 21: 3 } });
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: HUGE, maxBytes: 16n * HUGE });
  const first = memory.allocate(list, 1);
  const before = kernel.hash();
  const error = failure("ERR_KERNEL", () => memory.allocate(list, 3));
  assert.equal([error.errno, error.syscall, error.residue], [no.EFAULT, "madvise", undefined]);
  assert.match(error.message, "not all of 3 pages of 2 MiB");
  assert.match(error.message, "hugepages-2048kB) has 7 of 8 free");
  assert.match(error.message, "/sys/fs/cgroup/hugetlb.2MB.max allows 6 MiB, of which 2 MiB are used");
  const { pool, limit, pageSize } = error.facts as never as { pool: unknown; limit: unknown; pageSize: bigint };
  assert.is(pageSize, HUGE);
  const { directory, total, free } = pool as { directory: string; total: number; free: number };
  assert.equal([directory, total, free], ["/sys/kernel/mm/hugepages/hugepages-2048kB", 8, 7]);
  assert.equal(limit, { file: "/sys/fs/cgroup/hugetlb.2MB.max", limit: 3n * HUGE, used: HUGE, reclaimable: 0n });
  assert.is(kernel.hash(), before);
  assert.equal([memory.size, memory.bytes], [1, HUGE]);
  assert.is(memory.allocate(list, 2).va, first.va + HUGE);
  failure("ERR_KERNEL", () => memory.allocate(list, 1));
  memory.free(first);
  memory.allocate(list, 1);
});

test("the model answers populate as madvise does: present, not mapped, not writable, not to be had, not aligned", () => {
  const kernel = modelKernel({ hugepages: { 21: 8 }, hugepageLimits: { 21: 1 } });
  const populate = (va: bigint, length: bigint) => kernel.populate?.(va, length);
  const va = kernel.mmap(0n, 4n * 4096n, RW, 0, 0);
  kernel.mmap(va + 4096n, 4096n, Protection.READ, MapFlag.FIXED, 0);
  assert.equal([populate(va, 4096n), populate(va, 1n), populate(va, 0n)], [0, 0, 0]);
  assert.is(populate(va, 8192n), no.EINVAL);
  assert.is(populate(va + 1n, 4096n), no.EINVAL);
  kernel.munmap(va + 4096n, 4096n);
  assert.is(populate(va, 8192n), no.ENOMEM);
  const huge = kernel.mmap(0n, 2n * HUGE, RW, MapFlag.HUGETLB | MapFlag.POPULATE, 21);
  assert.ok(huge > 0n, "mmap promises what cannot be had");
  assert.is(populate(huge, 2n * HUGE), no.EFAULT);
  assert.is(populate(huge, HUGE), 0);
  assert.throws(() => kernel.view(huge, 2n * HUGE), /readable and writable/);
  kernel.munmap(huge, 2n * HUGE);
  assert.is(kernel.files?.text("/sys/fs/cgroup/hugetlb.2MB.current"), "0\n");
});

test("a kernel without populate is believed, as it was", () => {
  const kernel = new Proxy(modelKernel({ hugepageLimits: { 21: 1 } }), {
    get(target, name) {
      const value = name === "populate" ? undefined : Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const memory = new MemsegTable({ kernel });
  memory.allocate(memory.addList({ pageSize: HUGE, maxBytes: 16n * HUGE }), 2);
});

const mountinfo = [
  "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755",
  "36 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
  "37 31 0:33 /pod /somewhere rw,relatime - cgroup cgroup rw,hugetlb",
  "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
].join("\n");

test("limits are read where the hierarchy is mounted, at every level, and the tightest counts", () => {
  const machine = files({
    "/proc/self/cgroup": "10:hugetlb:/pod/a/b\n4:memory,cpu:/x\n0::/u\n",
    "/proc/self/mountinfo": mountinfo,
    "/somewhere/a/b/hugetlb.1GB.limit_in_bytes": "9223372036854771712\n",
    "/somewhere/a/b/hugetlb.1GB.usage_in_bytes": "1073741824\n",
    "/somewhere/a/hugetlb.1GB.limit_in_bytes": "2147483648\n",
    "/somewhere/a/hugetlb.1GB.usage_in_bytes": "1073741824\n",
    "/sys/fs/cgroup/unified/u/hugetlb.64KB.max": "max\n",
    "/sys/fs/cgroup/unified/u/hugetlb.64KB.current": "0\n",
    "/sys/fs/cgroup/unified/hugetlb.64KB.max": "65536\n",
    "/sys/fs/cgroup/unified/hugetlb.64KB.current": "0\n",
  });
  const found = hugetlbLimit(machine, 1n << 30n);
  assert.equal([found?.file, found?.limit], ["/somewhere/a/hugetlb.1GB.limit_in_bytes", 2n << 30n]);
  assert.is(hugetlbLimit(machine, 1n << 16n)?.file, "/sys/fs/cgroup/unified/hugetlb.64KB.max");
  assert.is(hugetlbLimit(machine, HUGE), undefined);
  assert.is(poolIn(machine, HUGE), undefined);
});

test("a cgroup outside of what is mounted has the mount's own limit; files that throw say nothing", () => {
  const outside = files({
    "/proc/self/cgroup": "10:hugetlb:/other\n",
    "/proc/self/mountinfo": mountinfo,
    "/somewhere/hugetlb.2MB.limit_in_bytes": "2097152\n",
    "/somewhere/hugetlb.2MB.usage_in_bytes": "0\n",
  });
  assert.is(hugetlbLimit(outside, HUGE)?.limit, HUGE);
  const throwing: MachineFiles = {
    text: () => {
      throw new Error("no");
    },
    names: () => [],
    link: () => "",
  };
  assert.equal(
    [hugetlbLimit(throwing, HUGE), memoryLimit(throwing), poolIn(throwing, HUGE)],
    [undefined, undefined, undefined],
  );
});

function limited(texts: Record<string, string>): Syscalls {
  const told = files({ "/proc/self/cgroup": "0::/a\n", "/proc/self/mountinfo": mountinfo, ...texts });
  return new Proxy(modelKernel(), {
    get(target, name) {
      const value = name === "files" ? told : Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

test("ordinary memory that a memory cgroup has no room for is refused: the kernel would kill", () => {
  const at = "/sys/fs/cgroup/unified/a/memory";
  const texts = { [`${at}.max`]: `${64 << 20}\n`, [`${at}.current`]: `${60 << 20}\n` };
  const tryTo = (more: Record<string, string>, length = 16 << 20) => {
    const memory = new MemsegTable({ kernel: limited({ ...texts, ...more }) });
    return () => memory.allocate(memory.addList({ pageSize: 4096, maxBytes: length }), length / 4096);
  };
  const error = failure("ERR_MEMORY_LIMIT", tryTo({}));
  assert.match(error.message, "16 MiB are more than the memory cgroup has room for");
  assert.match(error.message, `${at}.max allows 64 MiB, of which 60 MiB are used`);
  assert.match(
    error.message,
    "The limit keeps one container from taking the memory of the others: allocate less, or raise it",
  );
  assert.is((error.facts as { length: bigint }).length, 16n << 20n);
  // What the kernel would take back first counts as room: files in the cache, and what may be swapped out.
  tryTo({ [`${at}.stat`]: `anon 1\nactive_file 1\ninactive_file ${12 << 20}\n` })();
  tryTo({ "/proc/meminfo": `SwapFree:       ${12 << 10} kB\n` })();
  tryTo({ [`${at}.max`]: "max\n" })();
  tryTo({}, 512 << 10)(); // so little that nobody looks
});

test("version 1 of a memory cgroup likewise, whose root may be as good as unlimited", () => {
  const at = "/sys/fs/cgroup/memory";
  const found = memoryLimit(
    files({
      "/proc/self/cgroup": "4:memory:/x\n",
      "/proc/self/mountinfo": mountinfo,
      [`${at}/x/memory.limit_in_bytes`]: "1000000\n",
      [`${at}/x/memory.usage_in_bytes`]: "900000\n",
      [`${at}/x/memory.stat`]: "total_active_file 5\ntotal_inactive_file 6\nactive_file 1\n",
      [`${at}/memory.limit_in_bytes`]: "9223372036854771712\n",
      [`${at}/memory.usage_in_bytes`]: "5000000\n",
    }),
  );
  assert.equal(found, { file: `${at}/x/memory.limit_in_bytes`, limit: 1000000n, used: 900000n, reclaimable: 11n });
});

test.run();
