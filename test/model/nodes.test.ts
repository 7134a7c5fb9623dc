/** Hugepages by NUMA node: where they come from, and what binding changes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type ModelKernel, type ModelOptions, modelKernel } from "../../src/model/index.ts";
import { MapFlag, Protection } from "../../src/syscalls.ts";
import { refused, thrownBy } from "../support/failure.ts";
import { no } from "../support/faulty.ts";
import { MiB, RW } from "./rig.ts";

const PAGE = 2n * MiB;
const nodes = suite("NUMA nodes of the model");

function free(kernel: ModelKernel, shift = 21): string {
  const directory = "/sys/devices/system/node";
  const found = kernel.files.names(directory) as readonly string[];
  return found
    .filter((name) => name.startsWith("node"))
    .map((name) => kernel.files.text(`${directory}/${name}/hugepages/hugepages-${2 ** (shift - 10)}kB/free_hugepages`))
    .map((text) => String(text).trim())
    .join(" ");
}

const boot = (counts: ModelOptions["nodes"] = [{ 21: 2 }, { 21: 3 }]) =>
  modelKernel({ nodes: counts as NonNullable<typeof counts> });
const map = (kernel: ModelKernel, pages: number, flags = 0) =>
  kernel.mmap(0n, BigInt(pages) * PAGE, RW, MapFlag.HUGETLB | flags, 21);

nodes("have pages of their own; an mmap takes them from the first on, and each goes back to where it came from", () => {
  const kernel = boot();
  const [first, second] = [map(kernel, 1), map(kernel, 3)];
  assert.is(free(kernel), "0 1");
  kernel.munmap(first, PAGE);
  assert.is(free(kernel), "1 1");
  kernel.munmap(second, 3n * PAGE);
  assert.is(free(kernel), "2 3");
  assert.is(map(kernel, 6), BigInt(no.ENOMEM));
  assert.equal(kernel.snapshot().hugepages, [{ pageShift: 21, free: 5 }]);
});

nodes("give the pages that are bound to them, before those are present and not after", () => {
  const kernel = boot();
  const address = map(kernel, 2);
  assert.is(kernel.bindNode?.(address, 2n * PAGE, 1), 0);
  assert.is(free(kernel), "2 1");
  assert.is(kernel.populate?.(address, 2n * PAGE), 0);
  assert.is(kernel.bindNode?.(address, 2n * PAGE, 0), 0);
  assert.is(free(kernel), "2 1");
  const populated = map(kernel, 1, MapFlag.POPULATE);
  kernel.bindNode?.(populated, PAGE, 1);
  assert.is(free(kernel), "1 1");
});

nodes("that have too few answer nothing to mbind; it is the page that is missing", () => {
  const kernel = boot();
  const address = map(kernel, 3);
  assert.is(kernel.bindNode?.(address, 3n * PAGE, 0), 0);
  assert.is(kernel.populate?.(address, 3n * PAGE), no.EFAULT);
  assert.is(kernel.populate?.(address, 2n * PAGE), 0);
  kernel.munmap(address, 3n * PAGE);
  assert.is(free(kernel), "2 3");
});

nodes("refuse what Linux refuses", () => {
  const kernel = boot();
  const bind = (address: bigint, length: bigint, node: number) => kernel.bindNode?.(address, length, node);
  const address = map(kernel, 1);
  assert.is(bind(address, PAGE, 2), no.EINVAL);
  assert.is(bind(address + 1n, PAGE, 0), no.EINVAL);
});

nodes("refuse what is not mapped, and populate tells memory that may not be written", () => {
  const kernel = boot();
  const address = kernel.mmap(0n, 3n * 4096n, RW, 0, 0);
  kernel.munmap(address + 4096n, 4096n);
  assert.is(kernel.bindNode?.(address, 3n * 4096n, 0), no.EFAULT);
  assert.is(kernel.bindNode?.(address, 0n, 0), 0);
  assert.is(kernel.populate?.(address, 3n * 4096n), no.ENOMEM);
  assert.is(kernel.populate?.(address, 4096n), 0);
  const kept = kernel.mmap(0n, 4096n, Protection.NONE, MapFlag.NORESERVE, 0);
  assert.is(kernel.populate?.(kept, 4096n), no.EINVAL);
  assert.is(kernel.bindNode?.(kept, 4096n, 1), 0);
});

nodes("are part of the state: the same pages of another node make another hash", () => {
  const [one, other] = [boot([{ 21: 2 }, { 21: 2 }]), boot([{ 21: 2 }, { 21: 2 }])];
  assert.is(one.hash(), other.hash());
  for (const kernel of [one, other]) map(kernel, 1);
  assert.is(one.hash(), other.hash());
  const [area] = [...other.snapshot().processes];
  assert.ok(area);
  const bound = map(other, 1);
  other.bindNode?.(bound, PAGE, 1);
  map(one, 1);
  assert.not.equal(one.hash(), other.hash());
});

nodes("are one with all hugepages by default, and cannot be named beside them", () => {
  const kernel = modelKernel({ hugepages: { 21: 7 } });
  assert.is(free(kernel), "7");
  assert.is(kernel.files.text("/sys/devices/system/node/online"), "0\n");
  assert.is(kernel.files.text("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"), "7\n");
  assert.is(boot().files.text("/sys/devices/system/node/has_memory"), "0-1\n");
  refused("ERR_OUT_OF_RANGE", () => modelKernel({ hugepages: { 21: 1 }, nodes: [{ 21: 1 }] }));
  refused("ERR_OUT_OF_RANGE", () => modelKernel({ nodes: [] }));
  for (const wrong of [7, {}, [null], ["21"]]) {
    assert.is(thrownBy(() => modelKernel({ nodes: wrong as never })).code, "ERR_INVALID_ARG_TYPE");
  }
});

nodes.run();
