/** Why VFIO would refuse a device, in sentences, each with what to do. Judged by the machine's files: the kernel's answer counts. */
import { belongsToo, groupProblems, isVfioDriver, usedByKernel } from "../system/groups.ts";
import type { ReservedRegion } from "../system/reserved-regions.ts";
import { className, isBridge } from "./classes.ts";
import { driverOf, type Look } from "./look.ts";

/** What is judged. */
export interface Judged {
  readonly address: string;
  readonly vendor: number;
  readonly device: number;
  readonly class: number;
  readonly group: number | undefined;
  readonly driver: string | undefined;
  readonly physicalFunction: string | undefined;
  readonly reservedRegions: readonly ReservedRegion[];
}

export function problemsOf(look: Look, device: Judged): string[] {
  const { address, driver, group } = device;
  const never = neverTaken(look, device);
  if (never !== undefined) return [never];
  const isVfio = isVfioDriver(driver);
  const found = look.group(group);
  const notThere = driverMissing(look);
  return [
    ...(group === undefined && !isUnsafe(look) ? [noGroup(look, address)] : []),
    ...(isVfio || notThere === undefined ? [] : [notThere]),
    ...(isVfio ? [] : [notBound(address, driver)]),
    // Of its own driver that was said already.
    ...(found === undefined ? [] : isVfio ? groupProblems(found) : neighbourProblems(found, address)),
    ...reservedProblems(device),
    ...tokenProblems(look, device),
  ];
}

function neighbourProblems(
  group: Parameters<typeof usedByKernel>[0] & { readonly id: number },
  address: string,
): string[] {
  const others = usedByKernel(group).filter(({ name }) => name !== address);
  return others.map((device) => belongsToo(group.id, device));
}

function notBound(address: string, driver: string | undefined): string {
  const who = driver === undefined ? "has no driver" : `is with its driver ${driver}`;
  return `${address} ${who}: bind it to vfio-pci (bindToVfio, or dma-window bind ${address})`;
}

/** `drivers/vfio/pci/vfio_pci_core.c: vfio_pci_core_register_device`, `drivers/vfio/pci/vfio_pci.c: vfio_pci_dev_in_denylist`. */
export function neverTaken(look: Look, { address, vendor, device, class: code }: Judged): string | undefined {
  if (isBridge(code))
    return `${address} is a ${className(code)}: VFIO takes what is behind it, and never the bridge itself`;
  const isDenied = vendor === INTEL && DENIED.has(device) && look.parameter("vfio_pci", "disable_denylist") !== "Y";
  if (!isDenied) return undefined;
  return (
    `vfio-pci denies ${address}, a QuickAssist device that can stop the machine when it is misused: where only trusted programs ` +
    "use it, load vfio-pci with disable_denylist=1"
  );
}

const INTEL = 0x8086;
/** QuickAssist of C3XXX, C62X and DH895XCC, and their virtual functions; since 5.8. */
const DENIED: ReadonlySet<number> = new Set([0x19e2, 0x19e3, 0x37c8, 0x37c9, 0x0435, 0x0443]);

/** The sentence where the machine has no driver `vfio-pci`; `undefined` where it has it, or it is not known. */
export function driverMissing(look: Look): string | undefined {
  const drivers = look.names("/sys/bus/pci/drivers");
  if (drivers === undefined || drivers.includes("vfio-pci")) return undefined;
  return "the driver vfio-pci is not loaded: modprobe vfio-pci";
}

/** Whether VFIO gives a group to a device without an IOMMU (`drivers/vfio/group.c: vfio_noiommu_group_alloc`). */
export function isUnsafe(look: Look): boolean {
  return look.parameter("vfio", "enable_unsafe_noiommu_mode") === "Y";
}

/** A device without a group has no IOMMU in front of it: either none has, or the IOMMU leaves this one out. */
export function noGroup(look: Look, address: string): string {
  const groups = look.names("/sys/kernel/iommu_groups") ?? [];
  if (groups.length > 0) {
    return `${address} is in no IOMMU group, though others are: the machine's IOMMU does not cover it, so take another slot or device`;
  }
  return `${address} is in no IOMMU group, as no device is: the machine has no IOMMU in use. ${turnOn(look)}`;
}

/** @internal What to do for an IOMMU: by what the processor is, and what the kernel was started with. */
export function turnOn(look: Look): string {
  const cpu = look.text("/proc/cpuinfo") ?? "";
  const started = look.text("/proc/cmdline")?.trim().split(/\s+/) ?? [];
  const off = started.find((word) => /^(?:(?:intel_|amd_)?iommu=(?:\S*,)?off\b|acpi=off$)/.test(word));
  const first = off === undefined ? "" : `The kernel was started with ${off}: take that away. `;
  // `arch/x86/kernel/cpu/proc.c: show_cpuinfo`: X86_FEATURE_HYPERVISOR.
  const isGuest = /^flags\s*:.*\bhypervisor\b/m.test(cpu);
  const host = isGuest ? ". This is a virtual machine, so its host is what has to give it an IOMMU" : "";
  return `${first}${byProcessor(cpu, started)}${host}`;
}

/** `Documentation/admin-guide/kernel-parameters.txt`: intel_iommu, amd_iommu, iommu. */
function byProcessor(cpu: string, started: readonly string[]): string {
  if (/^vendor_id\s*: (?:GenuineIntel|CentaurHauls| {2}Shanghai)/m.test(cpu)) {
    const add = started.includes("intel_iommu=on") ? "" : ", and add intel_iommu=on to the kernel's command line";
    return `Turn VT-d on in the firmware's setup${add}`;
  }
  if (/^vendor_id\s*: (?:AuthenticAMD|HygonGenuine)/m.test(cpu)) {
    return "Turn the IOMMU (AMD-Vi) on in the firmware's setup; the kernel's command line needs nothing for it";
  }
  if (/^CPU implementer/m.test(cpu)) {
    return "Turn the SMMU on in the firmware's setup: the kernel takes it where ACPI's IORT or the device tree names it, and its command line needs nothing";
  }
  if (/^cpu\s*: POWER/m.test(cpu)) {
    return "POWER always has one: see that the kernel has sPAPR TCE (CONFIG_SPAPR_TCE_IOMMU), and load vfio_iommu_spapr_tce";
  }
  return "Turn it on in the firmware's setup (VT-d, AMD-Vi, SMMU); Intel's wants intel_iommu=on on the kernel's command line too";
}

/** Such a device stays with the kernel (`drivers/iommu/intel/iommu.c: device_rmrr_is_relaxable`, `drivers/iommu/iommu.c`). */
function reservedProblems({ address, reservedRegions }: Judged): string[] {
  const direct = reservedRegions.filter(({ kind }) => kind === "direct");
  if (direct.length === 0) return [];
  const list = direct.slice(0, 4).map(({ start, last }) => `0x${start.toString(16)}-0x${last.toString(16)}`);
  return [
    `firmware keeps memory of its own for ${address} or its group (RMRR: ${list.join(", ")}), and the kernel gives no such device ` +
      "away: turn off in the firmware's setup what watches it, or take another slot or device",
  ];
}

/** `drivers/vfio/pci/vfio_pci_core.c: vfio_pci_validate_vf_token`, since 5.7. */
function tokenProblems(look: Look, { address, physicalFunction }: Judged): string[] {
  if (physicalFunction === undefined || !isVfioDriver(driverOf(look, physicalFunction))) return [];
  return [
    `${address} is a virtual function of ${physicalFunction}, which is with VFIO itself: it opens with the token of that one's user ` +
      "alone, which this library has not: give the physical function back to its driver",
  ];
}
