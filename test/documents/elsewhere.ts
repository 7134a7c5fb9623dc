/**
 * Commands of the documents that are not run here: what they need, and who runs them instead. Each entry is about one command at least, or it
 * is struck out. A document shows no command that nobody runs: options of docker's are options, and no command with an image to be named.
 */

export interface Elsewhere {
  readonly command: RegExp;
  /** Where it stands; left out: anywhere. */
  readonly document?: string;
  /** What it needs that a test here may not have, or may not change. */
  readonly needs: string;
  /** A file of the repository that runs it, and a piece of that file's text that does. */
  readonly runBy: readonly [file: string, text: string];
}

const KERNELS: Elsewhere["runBy"] = [".ci/run", "npm run test:kernels"];
/** In a guest, as it stands in docs/guide.md. */
const inGuest = (text: string): Elsewhere["runBy"] => ["test/kernels/guest/guide.ts", text];
/** The guests have them by the kernel's command line. */
const HUGEPAGES: Elsewhere["runBy"] = ["test/kernels/guests.ts", "hugepages="];

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
    needs: "DPDK's package, seccomp, and hugepages",
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
  { command: /^(?:DMA_WINDOW_GROUP=\S+ )?npm run test:hardware\b/, needs: "root and a device", runBy: KERNELS },
  { command: /^npm run playground$/, needs: "its own folder", runBy: ["test/playground/build.test.ts", "playground"] },
  {
    command: /^modprobe vfio-pci$/,
    needs: "root, and a kernel with modules",
    runBy: inGuest('"modprobe vfio-pci"'),
  },
  {
    command: /^modprobe /,
    needs: "root, and POWER or one module more",
    runBy: ["test/kernels/guest/init.sh", "insmod"],
  },
  {
    command: /^echo 512 > \/sys\/kernel\/mm\//,
    document: "docs/guide.md",
    needs: "root, and memory to spare",
    runBy: inGuest("`echo 512 > "),
  },
  { command: /^echo \d+ > \/sys\/kernel\/mm\//, needs: "root, and memory to spare", runBy: HUGEPAGES },
  {
    command: /^echo \S+ > \/sys\/bus\//,
    needs: "root and a device",
    runBy: ["test/kernels/guest/machine.ts", "driver_override"],
  },
  {
    command: /^ls \/sys\/kernel\/iommu_groups$/,
    needs: "an IOMMU",
    runBy: inGuest('"ls /sys/kernel/iommu_groups"'),
  },
  {
    command: /^chown user \/dev\/vfio\//,
    needs: "root and a device",
    runBy: inGuest('"chown user /dev/vfio/26"'),
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
  { command: /^dma-window doctor --root \/host$/, needs: "a host", runBy: ["test/doctor/document.test.ts", "--root"] },
  {
    command: /^dma-window (?:devices$|bind |unbind )/,
    document: "docs/using.md",
    needs: "the machine that it describes",
    runBy: ["test/documents/devices.test.ts", "devices|bind|unbind"],
  },
  {
    command: /^dma-window (?:devices|bind) 0000:/,
    document: "docs/guide.md",
    needs: "root and a device",
    runBy: inGuest("`dma-window bind "),
  },
  {
    command: /^dma-window (?:devices|bind|unbind) 0000:/,
    needs: "root and a device",
    runBy: ["test/cli/devices.test.ts", "unbind"],
  },
  {
    command: /^dma-window plan --kernel linux --group 26$/,
    document: "docs/guide.md",
    needs: "a device that is bound to vfio-pci",
    runBy: inGuest('"dma-window plan --kernel linux --group 26"'),
  },
  { command: /^dma-window (?:run|plan) --kernel linux /, needs: "a device that is bound to vfio-pci", runBy: KERNELS },
  {
    command: /^node examples\/nvme\/main\.mjs info --kernel linux /,
    needs: "root and a device",
    runBy: ["test/kernels/main.ts", "examples/nvme/main.mjs"],
  },
  {
    command: /^node examples\/first-register\.mjs linux /,
    needs: "root and a device",
    runBy: inGuest("`node examples/first-register.mjs linux "),
  },
];

export function isElsewhere(entry: Elsewhere, document: string, text: string): boolean {
  return entry.command.test(text) && (entry.document === undefined || entry.document === document);
}
