/** What runs here: which Linux, on which processor, on what kind of machine. */
import { type LinuxVersion, linuxVersionIn, linuxVersionText } from "../linux-version.ts";
import { pageSizeInText } from "../system/page-size.ts";
import { type Quirk, quirksOf } from "./quirks.ts";
import type { Survey } from "./survey.ts";

export type Architecture = "x86" | "arm64" | "power";

/** POWER's bare metal, or an LPAR, under firmware of its own. */
export type PowerPlatform = "powernv" | "pseries";

/** `undefined`, here and below: not known. */
export interface KernelFacts {
  /** As `uname -r` says it: `6.12.107+deb13-amd64`. */
  readonly release: string | undefined;
  /** The version of Linux behind it, of its stable series: `6.12.107`. */
  readonly version: string | undefined;
  readonly architecture: Architecture | undefined;
  /** On POWER alone. */
  readonly platform: PowerPlatform | undefined;
  /** Whether a hypervisor is below it. */
  readonly virtual: boolean | undefined;
  /** The CPU's page, in bytes. */
  readonly pageSize: number | undefined;
  /** How many bits a physical address has, where the processor says so: x86's do. */
  readonly cpuAddressBits: number | undefined;
  /** How many pieces a process's address space may have (vm.max_map_count). */
  readonly maxMapCount: number | undefined;
  /** How it was started, as far as IOMMU, VFIO and hugepages are concerned. */
  readonly commandLine: readonly string[] | undefined;
  /** What of this version is to be known. */
  readonly quirks: readonly Quirk[];
}

/** `own` is what this program knows of itself, where the machine is the one that it runs on. */
export interface Own {
  readonly architecture?: Architecture | undefined;
  readonly pageSize?: number | undefined;
}

export function readKernel(survey: Survey, own: Own): KernelFacts {
  const release = survey.text("/proc/sys/kernel/osrelease")?.trim().slice(0, 128) || undefined;
  const version = versionOf(survey, release);
  const architecture = architectureOf(survey) ?? own.architecture;
  const platform = platformOf(survey);
  return {
    release,
    version: version && linuxVersionText(version),
    architecture: platform === undefined ? architecture : "power",
    platform,
    virtual: isVirtual(survey),
    pageSize: own.pageSize ?? pageSizeInText(survey.raw("/proc/self/auxv") ?? "") ?? builtFor(survey, release),
    cpuAddressBits: addressBitsOf(survey),
    maxMapCount: survey.number("/proc/sys/vm/max_map_count"),
    commandLine: commandLineOf(survey),
    quirks: version === undefined ? [] : quirksOf(version, platform ?? architecture),
  };
}

/** `/proc/version` names the stable series also where Debian's older kernels count their interfaces in `uname -r`. */
function versionOf(survey: Survey, release: string | undefined): LinuxVersion | undefined {
  return linuxVersionIn(survey.text("/proc/version")?.trim() ?? "") ?? linuxVersionIn(release ?? "");
}

function architectureOf(survey: Survey): Architecture | undefined {
  const cpu = survey.text("/proc/cpuinfo") ?? "";
  if (/^cpu\s*: POWER/m.test(cpu)) return "power";
  if (/^CPU implementer/m.test(cpu)) return "arm64";
  if (/^vendor_id\s*:/m.test(cpu) || /^flags\s*:/m.test(cpu)) return "x86";
  const units = survey.names("/sys/class/iommu") ?? [];
  if (units.some((unit) => /^(dmar|ivhd)\d/.test(unit))) return "x86";
  return units.some((unit) => /smmu/.test(unit)) ? "arm64" : undefined;
}

/**
 * `platform : PowerNV` (`arch/powerpc/kernel/setup-common.c: show_cpuinfo`); firmware's own nodes of the device tree where that is not
 * said: OPAL is PowerNV's, RTAS with calls of a hypervisor an LPAR's.
 */
function platformOf(survey: Survey): PowerPlatform | undefined {
  const [, named] = /^platform\s*: (PowerNV|pSeries)\s*$/m.exec(survey.text("/proc/cpuinfo") ?? "") ?? [];
  if (named !== undefined) return named === "PowerNV" ? "powernv" : "pseries";
  for (const tree of ["/proc/device-tree", "/sys/firmware/devicetree/base"]) {
    if (survey.names(`${tree}/ibm,opal`) !== undefined) return "powernv";
    if (survey.raw(`${tree}/rtas/ibm,hypertas-functions`) !== undefined) return "pseries";
  }
  return survey.text("/proc/ppc64/lparcfg") === undefined ? undefined : "pseries";
}

/** `arch/x86/kernel/cpu/proc.c: show_cpuinfo` (X86_FEATURE_HYPERVISOR); what firmware calls the machine; an LPAR always has one. */
function isVirtual(survey: Survey): boolean | undefined {
  const cpu = survey.text("/proc/cpuinfo") ?? "";
  if (platformOf(survey) === "pseries" || /emulated by qemu/.test(cpu)) return true;
  if (/^flags\s*:/m.test(cpu)) return /^flags\s*:.*\bhypervisor\b/m.test(cpu);
  const vendor = ["sys_vendor", "product_name"].map((name) => survey.text(`/sys/class/dmi/id/${name}`) ?? "").join(" ");
  if (/QEMU|KVM|VMware|Virtual Machine|VirtualBox|Xen|Amazon EC2|Google Compute/.test(vendor)) return true;
  if (survey.names("/proc/device-tree/hypervisor") !== undefined) return true;
  return platformOf(survey) === "powernv" ? false : undefined;
}

/** `address sizes : 39 bits physical, 48 bits virtual` (`arch/x86/kernel/cpu/proc.c: show_cpuinfo`) */
function addressBitsOf(survey: Survey): number | undefined {
  const [, bits] = /^address sizes\s*: (\d{1,2}) bits physical/m.exec(survey.text("/proc/cpuinfo") ?? "") ?? [];
  return bits === undefined ? undefined : Number(bits);
}

/** For which page size it was built, by its configuration or its name (Debian, Red Hat and Ubuntu put it there). */
function builtFor(survey: Survey, release: string | undefined): number | undefined {
  const [, size] =
    /^CONFIG_(?:ARM64|PPC)_(4|16|64)K_PAGES=y$/m.exec(configOf(survey, release) ?? "") ??
    /[-+](4|16|64)k\b/.exec(release ?? "") ??
    [];
  return size === undefined ? undefined : Number(size) << 10;
}

/** What the kernel was built with, where its distribution keeps that for everybody to read. */
export function configOf(survey: Survey, release: string | undefined): string | undefined {
  if (release === undefined || !/^[\w.+~-]+$/.test(release)) return undefined;
  return survey.text(`/boot/config-${release}`) ?? survey.text(`/lib/modules/${release}/config`);
}

/** `Documentation/admin-guide/kernel-parameters.txt` */
const OF_INTEREST =
  /^(?:(?:intel_|amd_)?iommu[=.]|iommu\.|arm-smmu|vfio|intremap=|nointremap|acpi=|pci=|hugepages|hugepagesz|default_hugepagesz|isolcpus|efi=|disable_radix|lockdown=|video=)/;

function commandLineOf(survey: Survey): readonly string[] | undefined {
  if (survey.text("/proc/cmdline") === undefined) return undefined;
  return survey.words("/proc/cmdline").filter((word) => OF_INTEREST.test(word));
}
