/** DPDK's own VFIO code (librte_eal of the distribution), driven by dpdk.c. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Judge } from "./judged.ts";

const source = fileURLToPath(new URL("dpdk.c", import.meta.url));
const small = "./dpdk -l 0 --no-huge -m 16 --no-pci --no-telemetry --iova-mode=va --".split(" ");
const huge = "./dpdk -l 0 --in-memory -m 4 --no-pci --no-telemetry --iova-mode=va --".split(" ");

function pkgConfig(...words: string[]): string | undefined {
  const { status, stdout } = spawnSync("pkg-config", [...words, "libdpdk"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

const packages = ["gcc", "pkg-config", "libdpdk-dev"];
const wrongUnmap = ["unmapped-another", "zombie", "charge-left"];

export const dpdk: Judge = {
  name: "DPDK",
  needs: () => (pkgConfig("--modversion") === undefined ? packages : []),
  build(folder) {
    const output = join(folder, "dpdk");
    const flags = (pkgConfig("--cflags") ?? "").split(/\s+/);
    const { status, stderr } = spawnSync("cc", ["-O2", ...flags, "-o", output, source, "-lrte_eal"], {
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`dpdk.c was not compiled: ${stderr}`);
    return pkgConfig("--modversion") ?? "";
  },
  cases: [
    {
      name: "unmap, IOVAs below DPDK's own",
      platform: "powernv",
      words: [...small, "unmap", "0x10000"],
      known: wrongUnmap,
    },
    {
      name: "unmap, IOVAs above DPDK's own",
      platform: "powernv",
      words: [...small, "unmap", "0x1f0000000"],
      known: wrongUnmap,
    },
    { name: "grow", platform: "powernv", words: [...huge, "grow"], hugepages: 32, known: wrongUnmap },
    { name: "set up", platform: "pseries", words: [...small, "set-up"], known: [] },
    { name: "unmap, IOVAs below DPDK's own", platform: "type1", words: [...small, "unmap", "0x10000"], known: [] },
    { name: "unmap, IOVAs above DPDK's own", platform: "type1", words: [...small, "unmap", "0x1f0000000"], known: [] },
    { name: "grow", platform: "type1", words: [...huge, "grow"], hugepages: 32, known: [] },
    {
      name: "late",
      platform: "type1",
      words: [...huge, "late"],
      hugepages: 32,
      known: ["left-mapped", "given-back-while-reachable", "answer-ignored"],
    },
  ],
  explanations: [
    {
      kind: "unmapped-another",
      cases: /powernv/,
      why: "lib/eal/linux/eal_vfio.c: vfio_spapr_dma_do_map gives UNMAP a struct of MAP, whose vaddr is read as iova, and iova as size",
    },
    { kind: "zombie", cases: /powernv/, why: "it unregisters what that UNMAP was meant for" },
    { kind: "charge-left", cases: /powernv/, why: "the same memory stays pinned" },
    { kind: "charge-left", cases: /pseries/, why: "where its window cannot be used it unregisters nothing" },
    {
      kind: "left-mapped",
      cases: /type1 late/,
      why: "memory from before the set-up is mapped in one piece, of which type1's first version unmaps no part: spdk/spdk#1705, mended in DPDK 23.03",
    },
    {
      kind: "answer-ignored",
      cases: /type1 late/,
      why: "so the freed pages are still mapped when the memory comes back: EEXIST, which vfio_type1_dma_mem_map takes for well; spdk/spdk#1705",
    },
    {
      kind: "unmapped-another",
      cases: /type1 late/,
      why: "at the end an UNMAP of the first page takes that whole piece away",
    },
    {
      kind: "given-back-while-reachable",
      why: "memory is freed after an UNMAP that did not unmap it; and rte_eal_cleanup unmaps the program's memory without a word to VFIO",
    },
    {
      kind: "never-unmapped",
      why: "rte_eal_cleanup closes neither container nor group, and unmaps nothing of DPDK's own memory",
    },
  ],
};
