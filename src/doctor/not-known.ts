/** What could not be looked at, a sentence each: that nothing was found there means nothing. */
import type { DoctorFacts } from "./diagnosis.ts";

export function notKnown(facts: Omit<DoctorFacts, "notKnown">): string[] {
  const { kernel, container, vfio, iommu, pci, memory, process } = facts;
  const bound = pci.groups.filter(({ isBound }) => isBound);
  const sentences: readonly (readonly [boolean, string])[] = [
    [kernel.version === undefined, "which Linux this is, and so which of its quirks apply"],
    [kernel.architecture === undefined, "which processor this is"],
    [kernel.pageSize === undefined, "the size of the CPU's page"],
    [iommu.state === undefined, "whether there is an IOMMU: /sys/kernel/iommu_groups cannot be read"],
    [
      iommu.state === "on" && iommu.addressBits === undefined && kernel.architecture !== "power",
      "how many address bits the IOMMU translates: VFIO says it when a container is open (container.info().ranges)",
    ],
    [
      iommu.state === "on" && iommu.remapsInterrupts === undefined && kernel.architecture === "x86",
      "whether the IOMMU remaps interrupts: VFIO says it when a group joins a container",
    ],
    [pci.devices === undefined, "which PCI devices there are: /sys/bus/pci/devices cannot be read"],
    [
      vfio.modules.some(({ state }) => state === undefined),
      "which modules of VFIO are loaded: /sys/module cannot be read",
    ],
    [
      bound.some(({ node }) => node !== undefined && node.mayOpen === undefined),
      "whether this process may open a group's node: its mode, or this process's user, cannot be read",
    ],
    [
      pci.hiddenProcesses > 0,
      `what ${pci.hiddenProcesses} process${pci.hiddenProcesses === 1 ? " has" : "es have"} open: root alone is shown it, so one of them may hold a group`,
    ],
    [
      container?.ownProcessesOnly === true,
      "who holds a group outside of this container: it sees its own processes only",
    ],
    [
      process.seccomp !== undefined && bound.every(({ node }) => node?.isListed === undefined),
      "whether a cgroup's list of devices allows the nodes: of version 2 it is a program in the kernel (eBPF) that nobody can read",
    ],
    [
      bound.some(({ reservedRegions }) => reservedRegions === undefined),
      "which IOVAs a group keeps to itself: its reserved_regions cannot be read",
    ],
    [memory.hugepages === undefined, "whether there are hugepages"],
    [process.memlock.soft === undefined, "how much memory may be locked: /proc/self/limits does not say"],
    [
      process.capabilities.CAP_IPC_LOCK === undefined,
      "which capabilities this process has: /proc/self/status does not say",
    ],
    [memory.iomem === undefined, "where RAM lies: /proc/iomem cannot be read; only --iova pa needs it"],
    [
      memory.iomem === "malformed",
      "where RAM lies: /proc/iomem has lines that no kernel writes; only --iova pa needs it",
    ],
    [
      memory.pagemap === undefined || memory.pagemap === "missing",
      "whether pagemap shows physical addresses; only --iova pa needs it",
    ],
  ];
  return sentences.flatMap(([isSo, text]) => (isSo ? [text] : []));
}
