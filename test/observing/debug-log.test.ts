/** NODE_DEBUG=dma-window: a line for each call to the kernel, with its struct by name, and its answer; nothing without it. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { asked } from "../../src/asked.ts";
import { modelKernel } from "../../src/model/index.ts";
import { identityOf } from "../../src/syscalls.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

function run(debug: string): { readonly stdout: string; readonly lines: readonly string[] } {
  const program = join(root, "test/observing/programs/maps.ts");
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--import", "tsx", program], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, NODE_DEBUG: debug },
  });
  assert.is(status, 0, stderr);
  return { stdout, lines: stderr.split("\n").filter((line) => line !== "") };
}

test("each call has its line, in the order in which the kernel was asked", () => {
  const { stdout, lines } = run("dma-window");
  assert.is(stdout, "ERR_KERNEL\n");
  for (const line of lines) assert.match(line, /^DMA-WINDOW \d+: /);
  const calls = lines.map((line) => line.replace(/^DMA-WINDOW \d+: /, "").replaceAll(/0x7f[0-9a-f]+/g, "0xVA"));
  const expected = [
    'open("/dev/vfio/vfio") = 3',
    "VFIO_GET_API_VERSION(3, 0) = 0",
    "VFIO_SET_IOMMU(3, 3) = 0",
    "mmap(0x0, 0x400000, none, noreserve|hugetlb, pages of 0x200000) = 0xVA",
    /^VFIO_IOMMU_GET_INFO\(3\) = 0 \{.*"ranges"/,
    "mmap(0xVA, 0x200000, rw, fixed|populate|hugetlb, pages of 0x200000) = 0xVA",
    "madvise(0xVA, 0x200000) = 0",
    "VFIO_IOMMU_MAP_DMA(3, flags=3 vaddr=0xVA iova=0x0 size=0x200000) = 0",
    "VFIO_IOMMU_UNMAP_DMA(3, flags=0 iova=0x0 size=0x200000) = 0",
    "VFIO_IOMMU_MAP_DMA(3, flags=3 vaddr=0xVA iova=0x0 size=0x400000) = -12 ENOMEM",
    'VFIO_GROUP_GET_DEVICE_FD(4, "0000:00:05.0") = 5',
    /^VFIO_DEVICE_GET_REGION_INFO\(5, index=0\) = 0 \{.*"size":"0x100000"/,
    /^VFIO_DEVICE_SET_IRQS\(5, flags=36 index=1 start=0 count=1 eventfds=\[6\]\) = 0/,
    "close(3) = 0",
  ];
  let at = 0;
  for (const one of expected) {
    const found = calls.findIndex((call, i) => i >= at && (typeof one === "string" ? call === one : one.test(call)));
    assert.ok(found >= 0, `${one} after ${calls[at - 1]}, in\n${calls.join("\n")}`);
    at = found + 1;
  }
});

test("without it nothing is said, and nothing stands before the kernel", () => {
  assert.equal(run("").lines, []);
  assert.equal(run("another").lines, []);
  const model = modelKernel();
  assert.is(asked(model).inner, model);
  assert.is(identityOf(asked(model)), model.identity);
});

test.run();
