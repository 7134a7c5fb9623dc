/** The emulated machines, as data: what QEMU is told, which kernel runs there, and what is run on it. */
import type { PlatformName } from "../conformance/row.ts";

/** Debian's name for an architecture, and what follows from it. */
export interface Architecture {
  readonly debian: "ppc64el" | "amd64" | "arm64";
  /** The directory of its shared libraries. */
  readonly triplet: string;
  readonly compiler: string;
  /** What loads programs, where that is not in /lib64. */
  readonly loader?: string;
  readonly qemu: string;
  /** The prefix of the kernel's file under /boot. */
  readonly kernelFile: string;
  /** VFIO's modules, in the order in which they need each other. A version may have one less. */
  readonly modules: readonly string[];
  /** Linux's own driver for NVMe, likewise: it is there, and not loaded until somebody wants it. */
  readonly diskModules: readonly string[];
  /** Series of Linux in which all parts are known to work. */
  readonly series: readonly string[];
}

export const power: Architecture = {
  debian: "ppc64el",
  triplet: "powerpc64le-linux-gnu",
  compiler: "powerpc64le-linux-gnu-g++",
  qemu: "qemu-system-ppc64",
  kernelFile: "vmlinux-",
  modules: ["vfio", "vfio_iommu_spapr_tce", "vfio-pci-core", "vfio-pci"],
  diskModules: [],
  // From 5.19 to 6.3 VFIO does not work on POWER, and on an LPAR not before 6.11.
  series: ["6.12"],
};

export const x86: Architecture = {
  debian: "amd64",
  triplet: "x86_64-linux-gnu",
  compiler: "g++",
  qemu: "qemu-system-x86_64",
  kernelFile: "vmlinuz-",
  modules: ["irqbypass", "vfio_virqfd", "vfio", "vfio_iommu_type1", "vfio-pci-core", "vfio-pci"],
  diskModules: ["nvme-auth", "nvme-core", "nvme"],
  // Before 6.10 a register of 8 bytes is written in two halves, and QEMU's edu takes the lower for all of the address.
  series: ["6.12"],
};

export const arm: Architecture = {
  debian: "arm64",
  triplet: "aarch64-linux-gnu",
  compiler: "aarch64-linux-gnu-g++",
  loader: "ld-linux-aarch64.so.1",
  qemu: "qemu-system-aarch64",
  kernelFile: "vmlinuz-",
  // irqbypass is part of its kernel.
  modules: ["vfio", "vfio_iommu_type1", "vfio-pci-core", "vfio-pci"],
  diskModules: [],
  series: ["6.12"],
};

/** A part of the guest's program: a process of its own, so that what it breaks does not break the next. */
export interface Part {
  readonly name: string;
  /** Seconds until it is killed. An emulated machine is slow, and a shared host makes it slower. */
  readonly seconds: number;
}

export interface Guest {
  readonly name: string;
  /** What `--only` and the report call the machine. */
  readonly machine: "pseries" | "powernv" | "x86" | "arm";
  readonly architecture: Architecture;
  /** Debian's name for the kernel: `linux-image-` and this, which depends on the one with a version. */
  readonly kernel: string;
  /** The page size that this kernel is built for, in bytes. */
  readonly cpuPage: number;
  /** What QEMU is told of the machine and its devices. */
  readonly arguments: readonly string[];
  /** Where its NVMe controller sits: in a group of its own, beside those of the other devices. */
  readonly nvme: string;
  /** Where a network card sits, where there is one: BARs of other kinds, ports, its MSI-X table apart, and a ROM. */
  readonly card?: string;
  readonly memoryMiB: number;
  /** On the kernel's command line. */
  readonly append: string;
  /** Hugepages that `append` asks for: page shift and number. */
  readonly hugepages: readonly (readonly [shift: number, count: number])[];
  readonly parts: readonly Part[];
  /** Booted where it is named, and otherwise not. */
  readonly isExtra?: boolean;
}

/** The platforms whose rows are about a machine. A container of type1 may be of either version. */
export const platformsOf: Readonly<Record<Guest["machine"], readonly PlatformName[]>> = {
  pseries: ["pseries"],
  powernv: ["powernv"],
  x86: ["type1 v2", "type1 v1"],
  arm: ["type1 v2", "type1 v1"],
};

/** 64 address bits: by default the device reaches 256 MiB. */
const edu = "edu,dma_mask=0xffffffffffffffff";

/** The suite comes last: some of its rows take hugepages and memory from the kernel that nothing gives back. */
const parts: readonly Part[] = [
  { name: "doctor", seconds: 120 },
  { name: "dma", seconds: 150 },
  { name: "flight", seconds: 200 },
  { name: "heap", seconds: 150 },
  { name: "ends", seconds: 150 },
  { name: "library", seconds: 240 },
  { name: "random", seconds: 240 },
  { name: "nvme", seconds: 300 },
  { name: "device", seconds: 300 },
  { name: "conformance", seconds: 700 },
];

/** On POWER it is about modules and files alone. */
const documents: Part = { name: "documents", seconds: 120 };

/** Two devices, each in a group of its own. */
const powernvDevices = [0, 1].flatMap((bus) => [
  ...["-device", `${edu},bus=pcie.${bus},addr=0.0,multifunction=on`],
  // A neighbour that nobody uses. Were the device alone on its bus, Linux would reset the bus whenever the device is opened
  // or closed, which takes five seconds each time.
  ...["-device", `pci-testdev,bus=pcie.${bus},addr=0.1`],
]);

/** Sizes of the pool as the kernel's command line has them. */
function pool(hugepages: Guest["hugepages"]): string {
  const names: Readonly<Record<number, string>> = { 21: "2M", 24: "16M", 30: "1G" };
  return hugepages.map(([shift, count]) => `hugepagesz=${names[shift]} hugepages=${count}`).join(" ");
}

const pseriesPool = [
  [21, 48],
  [30, 1],
] as const;
const powernvPool = [[24, 8]] as const;
const x86Pool = [[21, 48]] as const;

export const guests: readonly Guest[] = [
  // An LPAR. 16 MiB pages in its IOMMU need the capability; each group needs a host bridge.
  {
    name: "pseries-4k",
    machine: "pseries",
    architecture: power,
    kernel: "powerpc64le",
    cpuPage: 4096,
    arguments: [
      ...["-M", "pseries,cap-hpt-max-page-size=16777216", "-cpu", "POWER9", "-nodefaults", "-vga", "none"],
      ...["-device", edu, "-device", "spapr-pci-host-bridge,index=1,id=phb1", "-device", `${edu},bus=phb1.0`],
      ...["-device", "spapr-pci-host-bridge,index=2,id=phb2"],
    ],
    nvme: "bus=phb2.0",
    memoryMiB: 2560,
    append: `console=hvc0 ${pool(pseriesPool)}`,
    hugepages: pseriesPool,
    parts: [documents, ...parts],
  },
  // Bare metal. Its host bridges are among QEMU's defaults, so those stay. Only the hash MMU has hugepages here.
  {
    name: "powernv-64k",
    machine: "powernv",
    architecture: power,
    kernel: "powerpc64le-64k",
    cpuPage: 65536,
    arguments: ["-M", "powernv9", "-net", "none", ...powernvDevices],
    nvme: "bus=pcie.2",
    memoryMiB: 2048,
    append: `console=hvc0 disable_radix ${pool(powernvPool)}`,
    hugepages: powernvPool,
    parts,
  },
  {
    name: "powernv-4k",
    machine: "powernv",
    architecture: power,
    kernel: "powerpc64le",
    cpuPage: 4096,
    arguments: ["-M", "powernv9", "-net", "none", ...powernvDevices],
    nvme: "bus=pcie.2",
    memoryMiB: 2048,
    append: "console=hvc0",
    hugepages: [],
    parts: [documents, ...parts],
  },
  {
    name: "x86",
    machine: "x86",
    architecture: x86,
    kernel: "amd64",
    cpuPage: 4096,
    arguments: [
      ...["-M", "q35,kernel-irqchip=split", "-accel", "tcg", "-cpu", "max", "-nodefaults", "-display", "none"],
      ...["-device", "intel-iommu,intremap=on,caching-mode=on,aw-bits=48"],
      ...["-device", `${edu},addr=05.0`, "-device", `${edu},addr=06.0`],
      // A second controller, without a disk, on a bus of its own.
      ...["-device", "pcie-root-port,id=root9,addr=09.0,chassis=1,slot=1", "-device", "nvme,serial=behind,bus=root9"],
    ],
    nvme: "addr=07.0",
    card: "addr=08.0",
    memoryMiB: 2048,
    // On a busy host the timer that Linux tests at its start may come too late.
    append: `console=ttyS0 no_timer_check intel_iommu=on iommu.strict=1 ${pool(x86Pool)}`,
    hugepages: x86Pool,
    parts: [{ name: "hardware", seconds: 240 }, { name: "documents", seconds: 300 }, ...parts],
  },
  // An SMMUv3, and a GIC whose ITS tells the interrupts of devices apart: without one VFIO refuses them.
  {
    name: "arm",
    machine: "arm",
    architecture: arm,
    kernel: "arm64",
    cpuPage: 4096,
    arguments: [
      ...["-M", "virt,iommu=smmuv3,gic-version=3", "-cpu", "max,pauth-impdef=on", "-nodefaults"],
      ...["-device", `${edu},addr=05.0`, "-device", `${edu},addr=06.0`],
    ],
    nvme: "addr=07.0",
    memoryMiB: 1536,
    append: `console=ttyAMA0 ${pool(x86Pool)}`,
    hugepages: x86Pool,
    // The suite's rows of type1 are about the other machine's IOMMU.
    parts: parts.filter(({ name }) => name !== "conformance" && name !== "device"),
    isExtra: true,
  },
];
