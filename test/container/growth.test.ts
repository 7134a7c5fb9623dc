/** What a container says of the machine's pools, and warnings of a plan that then come true. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import type { MachineFiles, Syscalls } from "../../src/syscalls.ts";
import { failure } from "../support/failure.ts";

const MiB = 1n << 20n;

function withFiles(files: MachineFiles | undefined, options: ModelOptions = {}): Syscalls {
  const model = modelKernel(options);
  return new Proxy(model, {
    get(target, name) {
      if (name === "files") return files;
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function infoOf(kernel: Syscalls) {
  const container = openContainer({ kernel, groups: [26] });
  const info = container.info();
  container.close();
  return info;
}

test("a container says what its kernel's machine has of hugepages, and never what another one has", () => {
  const kernel = modelKernel({ hugepages: { 21: 7, 30: 0 } });
  assert.equal(infoOf(kernel).hugepages, [
    { pageSize: 2n * MiB, total: 7, available: 7 },
    { pageSize: 1n << 30n, total: 0, available: 0 },
  ]);
  assert.equal("hugepages" in infoOf(modelKernel({ hugepages: {} })), false);
  assert.equal("hugepages" in infoOf(withFiles(undefined)), false);
});

test("pages that the kernel may borrow, and what the cgroups allow, are said with them", () => {
  const { files } = modelKernel({ hugepages: { 21: 7 } });
  const more: Readonly<Record<string, string>> = {
    "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages": "5\n",
    "/sys/kernel/mm/hugepages/hugepages-2048kB/surplus_hugepages": "2\n",
    "/proc/self/cgroup": "0::/a\n",
    "/sys/fs/cgroup/a/hugetlb.2MB.max": "4194304\n",
    "/sys/fs/cgroup/a/hugetlb.2MB.current": "0\n",
  };
  const kernel = withFiles({ ...files, text: (path) => more[path] ?? files.text(path) });
  assert.equal(infoOf(kernel).hugepages, [{ pageSize: 2n * MiB, total: 7, available: 10, allowedBytes: 4n * MiB }]);
});

test("pools that cannot be read are not known, and nothing else is in the way", () => {
  const { files } = modelKernel();
  const kernel = withFiles({ ...files, names: (path) => (path.includes("hugepages") ? -13 : files.names(path)) });
  assert.equal("hugepages" in infoOf(kernel), false);
});

for (const platform of ["powernv", "type1"] as const) {
  test(`${platform}: what a plan warns of happens where it says, and not before`, () => {
    const machines: readonly (readonly [ModelOptions, string, number])[] = [
      [{ lockedMemory: { limit: 24n * MiB, privileged: false } }, "RLIMIT_MEMLOCK is 24 MiB", 0],
      [{ hugepages: { 21: 5 } }, "the pool has 5 more of 5: allocate fails from 10 MiB on", 5],
      ...(platform === "type1" ? ([[{ dmaEntryLimit: 3 }, "the kernel takes 3 more", 3]] as const) : []),
    ];
    for (const [options, words, pages] of machines) {
      const kernel = modelKernel({ platform, ...options });
      const memory = new MemsegTable({ kernel });
      const list = memory.addList({ pageSize: 2n * MiB, maxBytes: 64n * MiB });
      const container = openContainer({ kernel, groups: [26] });
      const plan = planWindow({ memory, info: container.info() });
      assert.is(plan.warnings.length, 1, plan.warnings.join("; "));
      assert.match(plan.warnings[0] ?? "", words);
      container.createWindow(plan);
      container.attach(memory);
      const ends = pages || Number((plan.fullGrowth.lockable ?? 0n) - plan.chargeBytes) >> 21;
      assert.ok(ends > 0 && ends < 32);
      for (let i = 0; i < ends; i++) memory.allocate(list, 1);
      failure("ERR_KERNEL", () => memory.allocate(list, 1));
      container.close();
      memory.close();
      assert.equal(kernel.leaks(), []);
    }
  });
}

test.run();
