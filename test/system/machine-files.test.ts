/** What a kernel's machine says of itself: the same questions, on this machine and on the software one's. */
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { linuxKernel } from "../../src/linux/index.ts";
import { modelKernel } from "../../src/model/index.ts";
import { type MachineFiles, MapFlag, Protection } from "../../src/syscalls.ts";
import { readHugepages } from "../../src/system/hugepages.ts";
import { parseIomem } from "../../src/system/iomem.ts";

import { withTree } from "./temp-tree.ts";

const GiB = 1n << 30n;

const [ENOENT, EISDIR, ENOTDIR, EINVAL, EEXIST] = [-2, -21, -20, -22, -17];
const files = suite("a machine's files");

files("of this machine: text, names, links, and an errno for what is none", () => {
  const files = linuxKernel().files as MachineFiles;
  assert.match(files.text("/proc/self/status") as string, /^VmLck:/m);
  assert.ok((files.names("/proc/self") as readonly string[]).includes("status"));
  assert.type(files.link("/proc/self/exe"), "string");
  assert.equal(
    [files.text("/proc/none"), files.names("/proc/none"), files.link("/proc/none")],
    [ENOENT, ENOENT, ENOENT],
  );
  assert.equal(
    [files.text("/proc"), files.names("/proc/self/status"), files.link("/proc/version")],
    [EISDIR, ENOTDIR, EINVAL],
  );
});

files("of a model: its own groups, and nothing of this machine", () => {
  const { files } = modelKernel({ platform: "type1", groups: [3, 26] });
  const group = "/sys/kernel/iommu_groups/26";
  assert.equal(files.names("/sys/kernel/iommu_groups"), ["26", "3"]);
  assert.is(files.text(`${group}/reserved_regions`), "0x00000000fee00000 0x00000000feefffff msi\n");
  assert.equal(files.names(`${group}/devices`), ["0000:00:1a.0"]);
  assert.match(files.link(`${group}/devices/0000:00:1a.0/driver`) as string, /\/vfio-pci$/);
  assert.equal(
    [files.text("/proc/self/maps"), files.names("/proc/sys"), files.link("/proc/self/exe")],
    [ENOENT, ENOENT, ENOENT],
  );
  assert.equal(
    [files.text(group), files.names(`${group}/reserved_regions`), files.link(group)],
    [EISDIR, ENOTDIR, EINVAL],
  );
});

files("of a model: what is opened, the pools as they are at that moment, its CPU and its RAM", () => {
  const kernel = modelKernel({
    platform: "type1",
    groups: [26],
    noIommuGroups: [3],
    hugepages: { 21: 8, 30: 1 },
    ram: GiB,
  });
  const { files } = kernel;
  assert.equal(files.names("/dev/vfio"), ["26", "noiommu-3", "vfio"]);
  assert.equal(
    [files.text("/dev/vfio/26"), files.names("/dev/vfio/26"), files.link("/dev/vfio/26")],
    [EINVAL, ENOTDIR, EINVAL],
  );
  const pools = () => readHugepages(files).map(({ pageShift, total, free }) => [pageShift, total, free]);
  assert.equal(pools(), [
    [21, 8, 8],
    [30, 1, 1],
  ]);
  kernel.mmap(0n, 6n << 20n, Protection.READ, MapFlag.HUGETLB | MapFlag.POPULATE, 21);
  assert.equal(pools()[0], [21, 8, 5]);
  assert.is(parseIomem(files.text("/proc/iomem") as string).highest, GiB - 1n);
  assert.match(files.text("/proc/cpuinfo") as string, /^cpu family\t: /m);
  assert.match(
    modelKernel({ platform: "noiommu", pageSize: 16384 }).files.text("/proc/cpuinfo") as string,
    /^CPU implementer/m,
  );
  assert.match(modelKernel().files.text("/proc/cpuinfo") as string, /POWER9/);
});

files("of a model on another machine's memory: nothing of that memory", () => {
  const { files } = modelKernel({ memory: modelKernel() });
  assert.equal([files.text("/proc/iomem"), files.names("/sys/kernel/mm/hugepages")], [ENOENT, ENOENT]);
});

files("of a model whose kernel is older than the file of reserved regions, or has others in it", () => {
  const group = "/sys/kernel/iommu_groups/26/reserved_regions";
  assert.is(modelKernel({ platform: "type1", reservedRegions: false }).files.text(group), ENOENT);
  const reservedRegions = [{ start: 0x7780_0000n, last: 0x7f9f_ffffn, kind: "direct-relaxable" }] as const;
  assert.is(
    modelKernel({ platform: "type1", reservedRegions }).files.text(group),
    "0x0000000077800000 0x000000007f9fffff direct-relaxable\n",
  );
});

files("of a model: what its process may lock, and its pools, as they are at that moment", () => {
  const kernel = modelKernel({ lockedMemory: { limit: 8n << 20n, privileged: false }, hugepages: { 21: 4 } });
  const { files } = kernel;
  assert.match(files.text("/proc/self/limits") as string, /^Max locked memory +8388608 +8388608 +bytes +$/m);
  assert.match(files.text("/proc/self/status") as string, /^VmLck:\s+0 kB\nCapEff:\s+0000000000000000$/m);
  assert.equal(files.names("/proc/self"), ["fd", "fdinfo", "limits", "status"]);
  kernel.limitLockedMemory({ limit: null, privileged: true });
  assert.match(files.text("/proc/self/limits") as string, /^Max locked memory +unlimited/m);
  assert.match(files.text("/proc/self/status") as string, /^CapEff:\s+0000000000024000$/m);
  const free = () => files.text("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
  assert.is(free(), "4\n");
  assert.ok(kernel.mmap(0n, 6n << 20n, 3, 16, 21) > 0n);
  assert.is(free(), "1\n");
  assert.is(files.text("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"), "4\n");
});

files("of a model: what its processes have open, each under its number", () => {
  const kernel = modelKernel({ platform: "type1" });
  const { files } = kernel.spawn();
  assert.is(kernel.open("/dev/vfio/vfio"), 3);
  assert.equal([kernel.files.names("/proc/self/fd"), files.names("/proc/self/fd")], [["3"], []]);
  assert.equal([kernel.files.link("/proc/self"), files.link("/proc/self")], ["1000", "1001"]);
  assert.is(files.link("/proc/1000/fd/3"), "/dev/vfio/vfio");
  assert.equal(
    [files.link("/proc/1000/fd/4"), files.text("/proc/1002/status"), files.text("/proc/self")],
    [ENOENT, ENOENT, EISDIR],
  );
  const event = kernel.eventfd();
  assert.equal(kernel.files.names("/proc/self/fdinfo"), ["3", `${event}`]);
  // O_CLOEXEC, O_NONBLOCK, O_RDWR.
  assert.match(files.text("/proc/1000/fdinfo/3") as string, /^flags:\t02000002$/m);
  assert.match(files.text(`/proc/1000/fdinfo/${event}`) as string, /^flags:\t02004002$/m);
  assert.equal([files.text("/proc/1000/fdinfo/9"), files.text("/proc/1000/fdinfo")], [ENOENT, EISDIR]);
  assert.equal(files.names("/proc"), ["1000", "1001", "cpuinfo", "iomem", "self"]);
});

files("of this machine: a text is written to a file that is there, or kept in one's own", () => {
  const { files } = linuxKernel();
  withTree({ "there/file": "a longer text than that" }, (root) => {
    assert.is(files?.write?.(join(root, "there/file"), "short\n"), 0);
    assert.is(files?.text(join(root, "there/file")), "short\n");
    assert.equal([files?.write?.(join(root, "none"), "x"), files?.write?.(root, "x")], [ENOENT, EISDIR]);
    assert.is(files?.keep?.(join(root, "a/b/kept"), "first"), 0);
    assert.is(files?.keep?.(join(root, "a/b/kept"), "second"), 0);
    assert.is(files?.text(join(root, "a/b/kept")), "second");
    assert.equal(files?.names(join(root, "a/b")), ["kept"]);
    assert.is(files?.keep?.(join(root, "there/file/below"), "x"), EEXIST);
    assert.equal([files?.remove?.(join(root, "a/b/kept")), files?.remove?.(join(root, "a/b/kept"))], [0, ENOENT]);
  });
});

files("of a model with an SMMU and one without an IOMMU", () => {
  const reserved = (kernel: ReturnType<typeof modelKernel>) =>
    kernel.files.text("/sys/kernel/iommu_groups/26/reserved_regions");
  assert.is(
    reserved(modelKernel({ platform: "type1", pageSize: 65536 })),
    "0x0000000008000000 0x00000000080fffff msi\n",
  );
  assert.is(reserved(modelKernel({ platform: "noiommu" })), "");
  assert.is(reserved(modelKernel({ platform: "pseries" })), "");
});

files.run();
