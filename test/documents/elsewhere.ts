/**
 * Commands of the documents that are not run here: what they need, and who runs them instead. Each entry is about one command at least, or it
 * is struck out. A document shows no command that nobody runs: options of docker's are options, and no command with an image to be named.
 */

import type { Guest } from "../kernels/guests.ts";

export interface Elsewhere {
  readonly command: RegExp;
  /** Where it stands; left out: anywhere. */
  readonly document?: string;
  /** What it needs that a test here may not have, or may not change. */
  readonly needs: string;
  /** A file of the repository that runs it, and a piece of that file's text that does. */
  readonly runBy: readonly [file: string, text: string];
  /** The guests that run it, by a shell, as it stands in its document. */
  readonly machines?: readonly Guest["machine"][];
}

const KERNELS: Elsewhere["runBy"] = [".ci/run", "npm run test:kernels"];
/** By the x86 guest. */
const onX86 = (text: string): Pick<Elsewhere, "runBy" | "machines"> => ({
  runBy: ["test/kernels/guest/documents-x86.ts", text],
  machines: ["x86"],
});
const POWER: Elsewhere["machines"] = ["powernv", "pseries"];

const EXEC = "a compiler, seccomp and DPDK's package";

export const elsewhere: readonly Elsewhere[] = [
  {
    command: /^apt-get install gcc pkg-config libdpdk-dev$/,
    document: "docs/exec.md",
    needs: "Debian's packages",
    runBy: [".ci/run", "install_for node --import tsx test/programs/main.ts"],
  },
  {
    command: /^npm run test:programs$/,
    needs: "packages of DPDK, QEMU and Linux's source, seccomp, and hugepages",
    runBy: [".ci/run", "npm run test:programs"],
  },
  {
    command: /^dma-window exec --platform powernv -- \/tmp\/dpdk/,
    document: "docs/exec.md",
    needs: EXEC,
    runBy: ["test/programs/dpdk.ts", "--no-huge -m 16"],
  },
  { command: /^npm install \.\/dma-window-/, needs: "package managers", runBy: [".ci/run", "npm run test:install"] },
  { command: /^npm ci$/, needs: "a registry", runBy: [".ci/run", "npm ci; npm start"] },
  { command: /^npm start$/, needs: "its own folder", runBy: [".ci/run", "npm ci; npm start"] },
  { command: /^npm ci && npm test$/, needs: "a registry", runBy: [".ci/run", "npm test"] },
  { command: /^npm test$/, needs: "its own run", runBy: [".ci/run", "npm test"] },
  { command: /^node test\/run\.mjs /, needs: "its own run", runBy: ["package.json", '"test": "node test/run.mjs"'] },
  { command: /^npm run test:nodes$/, needs: "other Nodes", runBy: [".ci/run", "npm run test:nodes"] },
  {
    command: /^npm run test:engines\b/,
    needs: "Bun and Deno, and emulators",
    runBy: [".ci/run", "npm run test:engines"],
  },
  { command: /^npm run test:install$/, needs: "package managers", runBy: [".ci/run", "npm run test:install"] },
  { command: /^npm run prebuild$/, needs: "cross compilers", runBy: [".ci/run", "npm run prebuild"] },
  {
    command: /^node (?:node_modules\/dma-window\/)?shim\/build\.mjs$/,
    needs: "a compiler",
    runBy: ["test/shim/build.test.ts", "build.mjs"],
  },
  { command: /^npm run (?:lint|types)$/, needs: "its own run", runBy: [".ci/run", "npm run lint; npm run types"] },
  { command: /^npm run mutants$/, needs: "minutes, and a copy of the tree", runBy: [".ci/run", "npm run mutants"] },
  {
    command: /^npm run bench\b/,
    needs: "minutes, alone on the machine",
    runBy: [".ci/run", "npm run bench -- --quick"],
  },
  { command: /^npm run wasm:report$/, needs: "nothing: a table of sizes", runBy: ["test/bench/wasm.test.ts", "wasm"] },
  { command: /^npm run test:kernels\b/, needs: "QEMU and a mirror of Debian's", runBy: KERNELS },
  {
    command: /^(?:DMA_WINDOW_GROUP=\S+ )?npm run test:hardware\b/,
    needs: "root and a device",
    ...onX86("npm run test:hardware"),
  },
  { command: /^npm run playground$/, needs: "its own folder", runBy: ["test/playground/build.test.ts", "playground"] },
  {
    command: /^modprobe vfio-pci$/,
    needs: "root, and a kernel with modules",
    runBy: ["test/kernels/guest/documents-x86.ts", '"modprobe vfio-pci"'],
    machines: ["x86", "powernv", "pseries"],
  },
  {
    command: /^modprobe vfio_iommu_spapr_tce(?: && modprobe vfio-pci)?$/,
    needs: "root, and a kernel with modules, on POWER",
    runBy: ["test/kernels/guest/documents-power.ts", '"modprobe vfio_iommu_spapr_tce'],
    machines: POWER,
  },
  {
    command: /^echo 512 > \/sys\/kernel\/mm\//,
    needs: "root, and memory to spare",
    ...onX86("`echo 512 > "),
  },
  {
    command: /^echo 16 > \/sys\/kernel\/mm\//,
    needs: "root, and memory to spare, on POWER with the radix MMU",
    runBy: ["test/kernels/guest/documents-power.ts", "`echo 16 > "],
    machines: ["pseries"],
  },
  {
    command: /^echo \S+ > \/sys\/bus\/pci\/devices\/\S+\/driver\/unbind$/,
    needs: "root, and a device that a driver of the kernel's has",
    ...onX86("/driver/unbind"),
  },
  {
    command: /^(?:echo (?:\S+ )?> |readlink |ls )\/sys\/bus\/pci\/(?!\S*\/driver\/unbind)/,
    needs: "root and a device",
    runBy: ["test/kernels/guest/documents-testing.ts", "drivers_probe"],
    machines: ["x86", "powernv", "pseries"],
  },
  { command: /^ls \/sys\/kernel\/iommu_groups$/, needs: "an IOMMU", ...onX86('"ls /sys/kernel/iommu_groups"') },
  {
    command: /^chown user \/dev\/vfio\//,
    needs: "root and a device",
    ...onX86('"chown user /dev/vfio/26"'),
  },
  {
    command: /^dma-window doctor$/,
    document: "docs/doctor.md",
    needs: "the machines that it describes",
    runBy: ["test/doctor/document.test.ts", "docs/doctor.md"],
  },
  {
    command: /^(?:DMA_WINDOW_CALL_SITES|NODE_DEBUG)=\S+ node examples\//,
    document: "docs/observing.md",
    needs: "its numbers of processes, and its places of files, made one",
    runBy: ["test/observing/document.test.ts", "forgets.mjs"],
  },
  {
    command: /^dma-window doctor$/,
    document: "docs/guide.md",
    needs: "a device, and modules that are not loaded yet",
    ...onX86('"dma-window doctor"'),
  },
  {
    command: /^dma-window doctor --root \/host$/,
    needs: "root, and a machine with devices below a directory",
    ...onX86('"dma-window doctor --root /host"'),
  },
  {
    command: /^dma-window (?:devices$|bind |unbind )/,
    document: "docs/using.md",
    needs: "root and devices; the machine that it describes is in test/documents/devices.test.ts",
    ...onX86('document: "docs/using.md"'),
  },
  {
    command: /^dma-window devices$/,
    document: "docs/guide.md",
    needs: "a device that the guide goes on with",
    ...onX86('"dma-window devices"'),
  },
  {
    command: /^dma-window (?:devices|bind|unbind) 0000:/,
    needs: "root and a device",
    ...onX86("`dma-window bind "),
  },
  {
    command: /^dma-window (?:run|plan) --kernel linux /,
    needs: "a device that is bound to vfio-pci",
    ...onX86("--kernel linux --group"),
  },
  {
    command: /^node examples\/nvme\/main\.mjs info --kernel linux /,
    needs: "root and a device",
    ...onX86("`node examples/nvme/main.mjs info --kernel linux"),
  },
  {
    command: /^node examples\/first-register\.mjs linux /,
    needs: "root and a device",
    ...onX86("`node examples/first-register.mjs linux "),
  },
];

export function isElsewhere(entry: Elsewhere, document: string, text: string): boolean {
  return entry.command.test(text) && (entry.document === undefined || entry.document === document);
}
