/** NUMA nodes: of machines that are made up, of the software one, and this one's own. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel } from "../../src/linux/index.ts";
import { modelKernel } from "../../src/model/index.ts";
import type { MachineFiles } from "../../src/syscalls.ts";
import { numaNodeOf, readNodes } from "../../src/system/nodes.ts";
import { machine } from "../explain/machine.ts";
import { failure, refused } from "../support/failure.ts";
import { no } from "../support/faulty.ts";

const ROOT = "/sys/devices/system/node";

function node(id: number, cpus: string, free = 2): Record<string, string> {
  const pool = `${ROOT}/node${id}/hugepages/hugepages-2048kB`;
  return {
    [`${ROOT}/node${id}/meminfo`]: `Node ${id} MemTotal:       16384 kB\nNode ${id} MemFree:         1024 kB\n`,
    [`${ROOT}/node${id}/cpulist`]: `${cpus}\n`,
    [`${pool}/nr_hugepages`]: "4\n",
    [`${pool}/free_hugepages`]: `${free}\n`,
    [`${pool}/surplus_hugepages`]: "0\n",
  };
}

test("nodes come by number, with their memory, CPUs and pools", () => {
  const nodes = readNodes(machine({ ...node(10, "4-5"), ...node(2, "0-3,8", 3), [`${ROOT}/online`]: "2,10\n" }));
  assert.equal(
    nodes.map(({ id }) => id),
    [2, 10],
  );
  assert.equal(nodes[0], {
    id: 2,
    memory: { total: 16n << 20n, free: 1n << 20n },
    cpus: [0, 1, 2, 3, 8],
    hugepages: [{ pageSize: 2n << 20n, pageShift: 21, total: 4, free: 3, surplus: 0, available: 3 }],
  });
});

test("a node of memory alone, one of CPUs alone, and nonsense in a file", () => {
  const [memory, cpus] = readNodes(
    machine({
      ...node(0, ""),
      [`${ROOT}/node1/cpulist`]: "0-1,x,9999999,70000-70001,5-\n",
      [`${ROOT}/node1/meminfo`]: "?",
    }),
  );
  assert.equal(memory?.cpus, []);
  assert.equal(cpus, { id: 1, cpus: [0, 1], hugepages: [] });
});

test("a kernel without NUMA has no nodes, and a directory that cannot be listed is an error", () => {
  assert.equal(readNodes(machine({})), []);
  const closed: MachineFiles = { text: () => no.EACCES, names: () => no.EACCES, link: () => no.EACCES };
  assert.is(failure("ERR_NODES_UNREADABLE", () => readNodes(closed)).errno, no.EACCES);
});

test("the node of a device, and of a group whose devices agree", () => {
  const pci = (name: string) => `/sys/bus/pci/devices/${name}/numa_node`;
  const devices = "/sys/kernel/iommu_groups";
  const files = machine({
    [pci("0000:01:00.0")]: "1\n",
    [pci("0000:02:00.0")]: "0\n",
    [pci("0000:03:00.0")]: "-1\n",
    [`${devices}/1/devices/0000:01:00.0/x`]: "",
    [`${devices}/2/devices/0000:01:00.0/x`]: "",
    [`${devices}/2/devices/0000:02:00.0/x`]: "",
  });
  assert.equal(
    ["0000:01:00.0", "0000:03:00.0", "0000:04:00.0"].map((name) => numaNodeOf(name, files)),
    [1, undefined, undefined],
  );
  assert.equal(
    [1, 2, 3].map((group) => numaNodeOf(group, files)),
    [1, undefined, undefined],
  );
  refused("ERR_INVALID_ARG_TYPE", () => numaNodeOf(1n as never, files));
});

test("of the software machine, as its pages come and go", () => {
  const kernel = modelKernel({ nodes: [{ 21: 2 }, { 21: 4, 30: 1 }] });
  const free = () => readNodes(kernel.files).map(({ hugepages }) => hugepages.map((pool) => pool.free));
  assert.equal(free(), [
    [2, 0],
    [4, 1],
  ]);
  kernel.mmap(0n, 6n << 20n, 3, 16, 21);
  assert.equal(free(), [
    [0, 0],
    [3, 1],
  ]);
  assert.is(numaNodeOf(26, kernel.files), 0);
});

test("this machine's own nodes make sense", () => {
  const nodes = readNodes();
  assert.equal(
    nodes.map(({ id }) => id),
    readNodes(linuxKernel().files as MachineFiles).map(({ id }) => id),
  );
  for (const { memory, hugepages } of nodes) {
    if (memory !== undefined) assert.ok(memory.free <= memory.total);
    for (const pool of hugepages) assert.ok(pool.free <= pool.total && !("reserved" in pool));
  }
});

test.run();
