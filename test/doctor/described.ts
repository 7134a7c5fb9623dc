/** The described machines, each with what the doctor has to say of it. */
import {
  another,
  BOUND,
  CPU,
  common,
  type DescribedMachine,
  DOCKER,
  type Files,
  linux,
  modules,
  NONE,
  NVME,
  pci,
  pools,
  process,
  READY,
  vtd,
  without,
} from "./machines.ts";

type Way = "spapr" | "type1" | "noiommu";

export interface Case extends DescribedMachine {
  readonly name: string;
  readonly ready: boolean;
  /** How each way ends: those that are not named are "never". */
  readonly verdicts: Readonly<Partial<Record<Way, "now" | "after a fix">>>;
  /** Problems of a way, by what they say and what mends them; a `!` before the way: it blocks nothing. */
  readonly says: readonly (readonly [way: `${"" | "!"}${Way}`, what: RegExp, fix: RegExp])[];
}

/** Without any of VFIO's groups and nodes. */
const UNBOUND: Files = without(READY, "sys/kernel/iommu_groups", "sys/devices", "sys/bus", "dev");
const NO_IOMMU: Files = {
  ...without(UNBOUND, "sys/class/iommu", "sys/firmware"),
  ...pci(NVME, { driver: "nvme" }),
  "sys/kernel/mm/transparent_hugepage/enabled": "always\n",
  "dev/vfio/vfio": "",
};
const POWER_MODULES = modules({ vfio: {}, vfio_pci: {}, vfio_iommu_spapr_tce: {} });

const power = (cpu: string, release: string): Files => ({
  ...linux(release),
  ...common(cpu, "quiet"),
  ...process({ memlock: "unlimited", page: 65536 }),
  ...POWER_MODULES,
  ...BOUND,
  "sys/kernel/iommu_groups/26/reserved_regions": "",
  ...pools([2048, 512, 512], [1048576, 0, 0]),
});

const CONTAINER = {
  cgroup: "0::/\n",
  capabilities: DOCKER,
  pidNamespace: "pid:[4026532999]",
  seccomp: 2,
  mounts:
    "100 1 0:50 / / rw - overlay overlay rw,lowerdir=/a\n101 100 0:51 / /sys ro,nosuid - sysfs sysfs ro\n102 101 0:52 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
};

/** Another one than who runs this, to whom the files belong. */
export const OTHER_USER = (globalThis.process.getuid?.() ?? 0) + 1000;

export const described: readonly Case[] = [
  { name: "ready x86", files: READY, ready: true, verdicts: { type1: "now" }, says: [] },
  {
    name: "no IOMMU",
    files: {
      ...NO_IOMMU,
      "proc/cpuinfo": CPU.guest,
      "proc/cmdline": "ro quiet\n",
      "sys/firmware/acpi/tables/FACP": "",
    },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [
      [
        "type1",
        /no IOMMU in use: firmware names none/,
        /VT-d on .*intel_iommu=on.*its host is what has to give it an IOMMU/,
      ],
    ],
  },
  {
    name: "IOMMU off on the command line",
    files: { ...NO_IOMMU, ...common(CPU.intel, "intel_iommu=off"), "sys/firmware/acpi/tables/DMAR": "" },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [["type1", /IOMMU is off: .*intel_iommu=off/, /started with intel_iommu=off: take that away/]],
  },
  {
    name: "an IOMMU that the kernel does not use",
    files: { ...NO_IOMMU, ...common(CPU.intel, "quiet"), "sys/firmware/acpi/tables/DMAR": "" },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [["type1", /firmware names one \(DMAR\), and the kernel does not use it/, /intel_iommu=on/]],
  },
  {
    name: "a group that is not viable",
    files: {
      ...READY,
      ...pci("0000:01:00.1", { group: 26, driver: "snd_hda_intel", class: "0x040300" }),
    },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [
      [
        "type1",
        /group 26 is not viable: 0000:01:00\.1 .*snd_hda_intel/,
        /^`dma-window bind 0000:01:00\.1` \(as root\)/,
      ],
    ],
  },
  {
    name: "a group with a neighbour that would be missed",
    files: {
      ...READY,
      ...pci("0000:01:00.1", { group: 26, driver: "e1000e", class: "0x020000" }),
      "sys/devices/pci0000:00/0000:01:00.1/net/eth0/mtu": "1500\n",
      "proc/net/route":
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\n",
    },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [["type1", /not viable/, /that would be lost: eth0 has the machine's default route/]],
  },
  {
    name: "RMRR",
    files: {
      ...READY,
      "sys/kernel/iommu_groups/26/reserved_regions":
        "0x0000000077800000 0x000000007f9fffff direct\n0x00000000fee00000 0x00000000feefffff msi\n",
    },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [["type1", /RMRR.*0x77800000-0x7f9fffff.*refused/, /firmware's setup/]],
  },
  {
    name: "RMRR that a driver of VFIO's ends",
    files: {
      ...READY,
      "sys/kernel/iommu_groups/26/reserved_regions": "0x0000000077800000 0x000000007f9fffff direct-relaxable\n",
    },
    ready: true,
    verdicts: { type1: "now" },
    says: [],
  },
  {
    name: "a container without /dev/vfio",
    files: { ...without(READY, "dev"), ...process(CONTAINER), "dev/null": "", ".dockerenv": "", "proc/iomem": "" },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [
      ["type1", /container has no \/dev\/vfio\/vfio/, /docker run --device \/dev\/vfio\/vfio --device \/dev\/vfio\/26/],
      ["!type1", /8 MiB/, /docker run --ulimit memlock=/],
      ["!type1", /\/proc\/iomem.*empty file/, /--iova rebased/],
      ["!type1", /seccomp.*mbind/, /--cap-add SYS_NICE/],
    ],
  },
  {
    name: "a container that has no group's node",
    files: {
      ...without(READY, "dev/vfio/26"),
      ...process({ ...CONTAINER, memlock: "4294967296" }),
      "run/.containerenv": "",
    },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [
      [
        "type1",
        /\/dev\/vfio\/26 was not given to this container/,
        /--device \/dev\/vfio\/vfio --device \/dev\/vfio\/26/,
      ],
    ],
  },
  {
    name: "a directory in a node's place",
    files: { ...without(READY, "dev/vfio/26"), ".dockerenv": "", "dev/vfio/26/.keep": "" },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [["type1", /\/dev\/vfio\/26 is a directory/, /rmdir \/dev\/vfio\/26/]],
  },
  {
    name: "hidden iomem",
    files: {
      ...READY,
      ...process({ uid: 1000, capabilities: NONE, memlock: "4294967296" }),
      "proc/iomem": "00000000-00000000 : System RAM\n00000000-00000000 : System RAM\n",
    },
    modes: { "dev/vfio/vfio": 0o666, "dev/vfio/26": 0o666 },
    ready: true,
    verdicts: { type1: "now" },
    says: [
      ["!type1", /hidden in \/proc\/iomem and \/proc\/self\/pagemap: .*CAP_SYS_ADMIN/, /help to attack the kernel/],
    ],
  },
  {
    name: "memlock 64 KiB",
    files: { ...READY, ...process({ uid: 1000, capabilities: NONE, memlock: "65536" }) },
    modes: { "dev/vfio/vfio": 0o666, "dev/vfio/26": 0o666 },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [["type1", /lock 64 KiB.*not one page of 2 MiB/, /keeps one user from locking.*LimitMEMLOCK=4G/]],
  },
  {
    name: "memlock that is used up",
    files: { ...READY, ...process({ uid: 1000, capabilities: NONE, memlock: "67108864", lockedKiB: 65000 }) },
    modes: { "dev/vfio/vfio": 0o666, "dev/vfio/26": 0o666 },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [["type1", /lock 64 MiB, of which .* are locked already/, /LimitMEMLOCK/]],
  },
  {
    name: "no hugepages",
    files: { ...READY, ...pools([2048, 0, 0], [1048576, 0, 0]) },
    ready: true,
    verdicts: { type1: "now" },
    says: [
      [
        "!type1",
        /no hugepages.*pages of 4 KiB/,
        /echo 512 > \/sys\/kernel\/mm\/hugepages\/hugepages-2048kB\/nr_hugepages/,
      ],
    ],
  },
  {
    name: "hugepages that others have: what is written to the pool is those and the new ones",
    files: { ...READY, ...pools([2048, 512, 0], [1048576, 0, 0]) },
    ready: true,
    verdicts: { type1: "now" },
    says: [
      [
        "!type1",
        /no hugepage is free/,
        /for another 1 GiB.*echo 1024 > \/sys\/kernel\/mm\/hugepages\/hugepages-2048kB\/nr_hugepages.*hugepagesz=2M hugepages=1024`/,
      ],
    ],
  },
  {
    name: "LPAR",
    files: {
      ...power(CPU.lpar, "6.12.107+deb13-powerpc64le-64k"),
      "proc/device-tree/rtas/ibm,hypertas-functions": "hcall-pft\0hcall-tce\0",
      "proc/device-tree/pci@800000020000001/ibm,ddw-applicable": "\0\0\0\u0001",
    },
    ready: true,
    verdicts: { spapr: "now" },
    says: [],
  },
  {
    name: "LPAR without dynamic windows",
    files: {
      ...power(CPU.lpar, "6.12.107+deb13-powerpc64le-64k"),
      "proc/device-tree/pci@800000020000001/name": "pci\0",
    },
    ready: true,
    verdicts: { spapr: "now" },
    says: [["!spapr", /no dynamic windows/, /HMC/]],
  },
  {
    name: "LPAR with a kernel that is too old",
    files: power(CPU.lpar, "6.8.0-45-generic"),
    ready: false,
    verdicts: { spapr: "after a fix" },
    says: [["spapr", /does not work on an LPAR before Linux 6\.11/, /another kernel: this is 6\.8/]],
  },
  { name: "PowerNV", files: power(CPU.powernv, "6.12.107"), ready: true, verdicts: { spapr: "now" }, says: [] },
  {
    name: "PowerNV with a kernel on which VFIO is broken",
    files: power(CPU.powernv, "6.1.0-40-powerpc64le"),
    ready: false,
    verdicts: { spapr: "after a fix" },
    says: [["spapr", /does not work on POWER from Linux 5\.19 to 6\.3/, /another kernel/]],
  },
  {
    name: "arm64 with 64K pages",
    files: {
      ...without(READY, "sys/class/iommu", "sys/firmware", "sys/kernel/mm"),
      ...linux("6.12.107+deb13-arm64"),
      ...common(CPU.arm, "quiet"),
      ...process({ memlock: "4294967296", page: 65536 }),
      "sys/class/iommu/smmu3.0x0000000009050000/uevent": "",
      "sys/kernel/iommu_groups/26/reserved_regions": "0x0000000008000000 0x00000000080fffff msi\n",
      ...pools([2048, 0, 0], [524288, 4, 4]),
    },
    ready: true,
    verdicts: { type1: "now" },
    says: [],
  },
  {
    name: "VM with 39 bits",
    files: { ...READY, ...vtd(39), "proc/cpuinfo": CPU.guest, "proc/iomem": "100000000-9fffffffff : System RAM\n" },
    ready: true,
    verdicts: { type1: "now" },
    says: [
      [
        "!type1",
        /39 address bits: the last IOVA is 0x7fffffffff, and RAM goes on to 0x9fffffffff/,
        /--iova rebased.*aw-bits=48/,
      ],
    ],
  },
  {
    name: "VM without interrupt remapping",
    files: { ...READY, ...vtd(48, false), "proc/cpuinfo": CPU.guest },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [["type1", /does not remap interrupts/, /intremap=on.*can raise any interrupt and so attack the host/]],
  },
  {
    name: "interrupts that nobody keeps apart",
    files: {
      ...READY,
      ...vtd(48, false),
      ...modules({
        vfio: {},
        vfio_pci: {},
        vfio_iommu_type1: { allow_unsafe_interrupts: "Y", dma_entry_limit: "1024" },
      }),
    },
    ready: true,
    verdicts: { type1: "now" },
    says: [
      ["!type1", /allow_unsafe_interrupts is on: .*attack the host/, /echo N/],
      ["!type1", /takes 1024 maps/, /dma_entry_limit.*keeps a program from filling/],
    ],
  },
  {
    name: "VFIO's modules are not loaded",
    files: {
      ...without(READY, "sys/module", "sys/bus/pci/drivers/vfio-pci", "dev", "sys/devices", "sys/bus"),
      ...modules({}),
      ...pci(NVME, { group: 26, driver: "nvme" }),
      "dev/null": "",
    },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [
      [
        "type1",
        /not loaded: vfio .*vfio-pci .*vfio_iommu_type1/,
        /^`modprobe vfio-pci && modprobe vfio_iommu_type1`; .*modules-load\.d/,
      ],
      [
        "type1",
        /no device is with vfio-pci/,
        /^`dma-window bind 0000:01:00\.0` \(as root\): this one, NVMe controller, is with nvme/,
      ],
    ],
  },
  {
    name: "a kernel for clouds, without VFIO",
    files: {
      ...without(READY, "sys/module", "sys/bus/pci/drivers/vfio-pci", "dev", "sys/devices", "sys/bus"),
      ...modules({}),
      ...pci(NVME, { group: 26, driver: "nvme" }),
      "lib/modules/6.12.107+deb13-amd64/modules.dep": "kernel/drivers/nvme/host/nvme.ko.xz:\n",
    },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [
      ["type1", /modules of this kernel have no vfio-pci/, /linux-modules-extra/],
      ["type1", /no device is with vfio-pci/, /dma-window bind/],
    ],
  },
  {
    name: "a limit of the hugetlb cgroup",
    files: {
      ...READY,
      ...process({ memlock: "4294967296", cgroup: "0::/job\n" }),
      "sys/fs/cgroup/job/hugetlb.2MB.max": "4194304\n",
      "sys/fs/cgroup/job/hugetlb.2MB.current": "4194304\n",
      "sys/fs/cgroup/job/memory.max": "536870912\n",
      "sys/fs/cgroup/job/memory.current": "520093696\n",
      "sys/fs/cgroup/job/memory.stat": "active_file 0\ninactive_file 0\n",
    },
    ready: true,
    verdicts: { type1: "now" },
    says: [
      [
        "!type1",
        /cgroup allows 4 MiB in hugepages of 2 MiB, 4 MiB of them used/,
        /keeps one container .*hugetlb\.2MB\.max/,
      ],
      ["!type1", /cgroup allows 512 MiB of memory, and 16 MiB is left/, /memory\.max/],
    ],
  },
  {
    name: "a group that another process holds",
    files: { ...READY, ...another(4711, "qemu-system-x86", ["/dev/vfio/vfio", "/dev/vfio/26"], 8 << 20) },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [["type1", /group 26 is held: process 4711 \(qemu-system-x86\)/, /kill 4711.*or take another group/]],
  },
  {
    name: "one group held, and another ready",
    files: {
      ...READY,
      ...another(4711, "dpdk", ["/dev/vfio/26"]),
      ...pci("0000:02:00.0", { group: 27, driver: "vfio-pci" }),
      "dev/vfio/27": "",
    },
    ready: true,
    verdicts: { type1: "now" },
    says: [["!type1", /group 26 is held/, /or take another group/]],
  },
  {
    name: "a node that is not this user's",
    files: { ...READY, ...process({ uid: OTHER_USER, capabilities: NONE, memlock: "unlimited" }) },
    modes: { "dev/vfio/vfio": 0o666, "dev/vfio/26": 0o600 },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [
      [
        "type1",
        /user \d+ may not open \/dev\/vfio\/26 \(mode 0600/,
        /drives the devices of group 26.*rule of udev.*SUBSYSTEM=="vfio"/,
      ],
    ],
  },
  {
    name: "root of a user namespace",
    files: {
      ...READY,
      ...process({
        uid: OTHER_USER,
        memlock: "65536",
        userNamespace: "user:[4026532777]",
        pidNamespace: "pid:[4026532778]",
      }),
      "run/.containerenv": "",
    },
    modes: { "dev/vfio/26": 0o600 },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [
      ["type1", /may not open \/dev\/vfio\/26 .*root of a user namespace is not root to it/, /udev/],
      ["type1", /CAP_IPC_LOCK of a user namespace does not count/, /--ulimit memlock/],
    ],
  },
  {
    name: "an old kernel",
    files: { ...READY, ...linux("4.9.0-19-amd64", "#1 SMP Debian 4.9.320-2 (2022-06-30)") },
    ready: true,
    verdicts: { type1: "now" },
    says: [],
  },
  {
    name: "no IOMMU, and the mode for that",
    files: {
      ...NO_IOMMU,
      "proc/cpuinfo": CPU.guest,
      ...modules({ vfio: { enable_unsafe_noiommu_mode: "Y" }, vfio_pci: {}, vfio_iommu_type1: {} }),
      ...pci(NVME, { group: 0, driver: "vfio-pci" }),
      "sys/kernel/iommu_groups/0/name": "vfio-noiommu\n",
      "sys/kernel/iommu_groups/0/reserved_regions": "",
      "dev/vfio/noiommu-0": "",
    },
    ready: true,
    verdicts: { type1: "after a fix", noiommu: "now" },
    says: [["!noiommu", /reach all memory of this machine/, /use an IOMMU where there can be one/]],
  },
  {
    name: "no IOMMU, and a kernel that has the mode",
    files: {
      ...NO_IOMMU,
      ...process({ uid: 1000, capabilities: NONE }),
      "proc/cpuinfo": CPU.guest,
      "proc/iomem": "00000000-00000000 : System RAM\n",
      ...modules({ vfio: { enable_unsafe_noiommu_mode: "N" }, vfio_pci: {}, vfio_iommu_type1: {} }),
      ...pools([2048, 0, 0]),
    },
    ready: false,
    verdicts: { type1: "after a fix", noiommu: "after a fix" },
    says: [
      ["noiommu", /is off/, /^without an IOMMU a device reaches all memory.*Where that is accepted/],
      ["noiommu", /CAP_SYS_RAWIO/, /only root may have it/],
      ["noiommu", /no hugepages/, /echo 512/],
      ["noiommu", /physical addresses are hidden/, /help to attack the kernel/],
    ],
  },
  {
    name: "a list of devices that has not the group",
    files: {
      ...READY,
      ...process({ cgroup: "4:devices:/docker/abc\n", memlock: "unlimited" }),
      "sys/fs/cgroup/devices/docker/abc/devices.list": "c 1:3 rwm\nc 10:196 rwm\n",
    },
    ready: true, // the nodes here are files: of which device they are is not known
    verdicts: { type1: "now" },
    says: [],
  },
  {
    name: "no device is bound, and none can be without a loss",
    files: {
      ...UNBOUND,
      ...pci(NVME, { group: 26, driver: "nvme" }),
      "sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/dev": "259:0\n",
      "proc/swaps": "Filename\n/dev/nvme0n1 partition 1 0 -2\n",
      "dev/vfio/vfio": "",
    },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [["type1", /no device is with vfio-pci/, /^`dma-window devices` lists them: each is in use/]],
  },
  {
    name: "no PCI",
    files: { ...without(NO_IOMMU, "sys/bus", "sys/devices"), "proc/cpuinfo": CPU.guest },
    ready: false,
    verdicts: { type1: "after a fix" },
    says: [
      ["type1", /no PCI devices/, /-device vfio-pci/],
      ["type1", /no IOMMU in use/, /its host/],
    ],
  },
];
