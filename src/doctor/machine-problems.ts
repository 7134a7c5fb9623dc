/** What keeps VFIO from a machine as a whole: its kernel, its IOMMU, modules that are missing, the node of containers. */
import { guards } from "../guards.ts";
import { hex } from "../hex.ts";
import { blocking, type DoctorFacts, type DoctorProblem, limiting } from "./diagnosis.ts";
import { nodeProblems } from "./node-problems.ts";
import type { ModuleName } from "./vfio.ts";

/** Red Hat's and SUSE's kernels are called by the release that they began with. */
const CARRIES_BACK = /\.el\d|\.amzn|-(?:default|rt|azure)$/;

export function kernelProblems({ kernel, pci, iommu }: DoctorFacts): DoctorProblem[] {
  const broken = kernel.quirks.filter(({ blocks }) => blocks);
  const carried = CARRIES_BACK.test(kernel.release ?? "");
  const make = carried ? limiting : blocking;
  const doubt = carried
    ? "; this distribution carries changes back into its kernels, so it may have the one that mends it"
    : "";
  return [
    ...broken.map(({ says }) =>
      make(`${says}${doubt}`, `start another kernel: this is ${kernel.version}, and 6.12 or later works`),
    ),
    ...(pci.devices === 0 && iommu.state !== "on" ? [noPci(kernel.virtual)] : []),
  ];
}

function noPci(virtual: boolean | undefined): DoctorProblem {
  const fix =
    virtual === false
      ? "plug one in, and see that the firmware's setup shows it"
      : "give the virtual machine one (QEMU: `-device vfio-pci,host=ADDRESS`; libvirt: <hostdev>), on its host";
  return blocking("this machine shows no PCI devices", fix);
}

export function iommuProblems({ iommu, container, kernel }: DoctorFacts): DoctorProblem[] {
  if (iommu.state === "on") return [];
  if (iommu.state === undefined) {
    const fix =
      container === undefined
        ? "see that sysfs is mounted at /sys, and that this user may read it"
        : "run this on the host: the container shows no /sys/kernel/iommu_groups";
    return [blocking("it is not known whether there is an IOMMU: /sys/kernel/iommu_groups cannot be read", fix)];
  }
  if (iommu.state === "off") {
    return [
      blocking(
        `the IOMMU is off: the kernel was started with ${iommu.offBy}`,
        `${iommu.turnOn}; then start the machine again`,
      ),
    ];
  }
  const tables = iommu.firmwareTables;
  const why =
    tables === undefined || kernel.architecture === "power"
      ? ""
      : tables.length === 0
        ? ": firmware names none (no DMAR, IVRS, IORT or VIOT among its tables)"
        : `: firmware names one (${tables.join(", ")}), and the kernel does not use it`;
  return [blocking(`the machine has no IOMMU in use${why}`, `${iommu.turnOn}; then start the machine again`)];
}

/** What each is for. */
const PURPOSE: Readonly<Record<ModuleName, string>> = {
  vfio: "VFIO itself",
  vfio_pci: "the driver that gives PCI devices to programs",
  vfio_iommu_type1: "VFIO's part for the IOMMUs of x86 and Arm",
  vfio_iommu_spapr_tce: "VFIO's part for the IOMMU of POWER",
};

/** Those of `needed` that are known to be missing. */
export function moduleProblems(
  { vfio, kernel, container }: DoctorFacts,
  needed: readonly ModuleName[],
): DoctorProblem[] {
  const missing = needed.filter((name) => vfio.modules.some((one) => one.name === name && one.state === "missing"));
  const names = missing.map((name) => (name === "vfio_pci" ? "vfio-pci" : name));
  if (missing.length === 0) return [];
  const what = `not loaded: ${missing.map((name, i) => `${names[i]} (${PURPOSE[name]})`).join(", ")}`;
  if (vfio.installed === false) {
    const fix = `install the package of this kernel (${kernel.release}) that has them, as linux-modules-extra of Ubuntu and kernel-modules of Red Hat, or start a kernel that has them: those for clouds often have none`;
    return [blocking(`${what}; and the modules of this kernel have no vfio-pci`, fix)];
  }
  // vfio-pci brings vfio along, and no more.
  const wanted = names.filter((name) => name !== "vfio" || names.length === 1);
  const where = container === undefined ? "" : " on the host: a container cannot load modules";
  const maybe =
    vfio.loadable === false
      ? "; this kernel has no /proc/modules, so it may load none at all: start one then that has them built in, or loads them"
      : "";
  const kept = wanted.length === 1 ? `echo ${wanted[0]}` : `printf '%s\\n' ${wanted.join(" ")}`;
  return [
    blocking(
      what,
      `\`${wanted.map((name) => `modprobe ${name}`).join(" && ")}\`${where}; for every start: \`${kept} > /etc/modules-load.d/vfio.conf\`${maybe}`,
    ),
  ];
}

/** /dev/vfio/vfio, which a program opens first. */
export function containerNodeProblems(facts: DoctorFacts): DoctorProblem[] {
  const { vfio, container, pci } = facts;
  if (vfio.container !== undefined) return nodeProblems(facts, vfio.container, "every container of VFIO");
  if (vfio.hasDirectory === undefined && vfio.nodes.length === 0) {
    return [
      blocking(
        "it is not known whether /dev/vfio/vfio is there: /dev/vfio cannot be listed",
        "run this as a user who may list /dev/vfio",
      ),
    ];
  }
  const module = vfio.modules.find(({ name }) => name === "vfio")?.state;
  if (module === "missing" && container === undefined) return []; // loading it makes the node
  if (container !== undefined) {
    const group = pci.groups.find(({ isBound }) => isBound)?.id ?? "GROUP";
    return [
      blocking(
        "the container has no /dev/vfio/vfio: none of VFIO's nodes was given to it",
        `a container is kept from the machine's devices; give it these and no others: \`docker run --device /dev/vfio/vfio --device /dev/vfio/${group}\``,
      ),
    ];
  }
  return [
    blocking(
      "/dev/vfio/vfio is not there",
      "`modprobe vfio` makes it; where the module is loaded, see that devtmpfs is mounted at /dev, and that the kernel has CONFIG_VFIO_CONTAINER",
    ),
  ];
}

/** What limits a container of type1 on this machine. */
export function type1Limits(facts: DoctorFacts): DoctorProblem[] {
  const { iommu, vfio } = facts;
  const found: DoctorProblem[] = [];
  const parameters = vfio.modules.find(({ name }) => name === "vfio_iommu_type1")?.parameters ?? {};
  const unsafe = parameters.allow_unsafe_interrupts;
  if (iommu.remapsInterrupts === false && unsafe !== "Y") {
    found.push(
      blocking(
        "the IOMMU does not remap interrupts, so VFIO refuses every group (EPERM): a device could raise any interrupt of the machine",
        "turn interrupt remapping on: in the firmware's setup (x2APIC, VT-d), without intremap=off or nointremap on the kernel's command line; " +
          "of a virtual machine on its host (QEMU: `-M q35,kernel-irqchip=split -device intel-iommu,intremap=on`). " +
          "The parameter allow_unsafe_interrupts of vfio_iommu_type1 opens it without: then a device, or whoever drives it, can raise any interrupt and so attack the host",
      ),
    );
  }
  if (unsafe === "Y") {
    found.push(
      limiting(
        "allow_unsafe_interrupts is on: VFIO takes devices whose interrupts nobody keeps apart, and whoever drives one can attack the host by them",
        "where the IOMMU remaps interrupts, turn it off: `echo N > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts`",
      ),
    );
  }
  const entries = parameters.dma_entry_limit;
  if (entries !== undefined && /^\d+$/.test(entries) && Number(entries) < 65535) {
    found.push(
      limiting(
        `a container takes ${entries} maps and no more (dma_entry_limit; the kernel's own choice is 65535)`,
        `map whole segments and hugepages; or, where needed, \`echo 65535 > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit\`: ${guards.dmaEntries}`,
      ),
    );
  }
  const width = widthLimit(facts);
  return width === undefined ? found : [...found, width];
}

/** Below it an address of this library's own choice never has to be larger. */
const WIDE = 48;
/** Of processors for desktops and laptops, whose IOMMU has the same; those of servers have more, and their IOMMU has 48 or 57. */
const NARROW = 39;

function widthLimit({ iommu, kernel, memory }: DoctorFacts): DoctorProblem | undefined {
  const { cpuAddressBits } = kernel;
  const isGuess = iommu.addressBits === undefined;
  const bits =
    iommu.addressBits ?? (cpuAddressBits !== undefined && cpuAddressBits <= NARROW ? cpuAddressBits : undefined);
  if (bits === undefined || bits >= WIDE) return undefined;
  const end = (1n << BigInt(bits)) - 1n;
  const beyond = memory.highestRam !== undefined && memory.highestRam > end;
  const who = isGuess ? "the processor has, and so its IOMMU likely translates," : "the IOMMU translates";
  const host =
    kernel.virtual === true ? "; of a virtual machine its host says it (QEMU: `-device intel-iommu,aw-bits=48`)" : "";
  return limiting(
    `${who} ${bits} address bits: the last IOVA is ${hex(end)}${beyond ? `, and RAM goes on to ${hex(memory.highestRam ?? 0n)}` : ""}`,
    `use IOVAs that count from the window's start (--iova rebased, the default): virtual addresses are above it${beyond ? ", and so are some physical ones" : ""}${host}`,
  );
}

/** What limits windows on POWER. */
export function spaprLimits({ dynamicWindows }: DoctorFacts): DoctorProblem[] {
  if (dynamicWindows !== false) return [];
  return [
    limiting(
      "firmware offers no dynamic windows (no ibm,ddw-applicable in the device tree): the default window, of 1 or 2 GiB, is all there is",
      "give the LPAR's slot dynamic DMA windows in its profile (HMC), or plan what fits: `dma-window plan --kernel linux --group N`",
    ),
  ];
}
