/**
 * Machines that are described by their files: one that is ready, by parts, and what others have in the place of a part. Built in code,
 * as a directory that `--root` names.
 */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { type Entry, withTree } from "../system/temp-tree.ts";

export type Files = Readonly<Record<string, Entry>>;

export interface DescribedMachine {
  readonly files: Files;
  /** Of nodes, where they are not everybody's. */
  readonly modes?: Readonly<Record<string, number>>;
}

/** Calls `use` with a directory that has the machine's files. */
export function withMachine({ files, modes = {} }: DescribedMachine, use: (root: string) => void): void {
  withTree(files, (root) => {
    for (const [path, mode] of Object.entries(modes)) chmodSync(join(root, path), mode);
    use(root);
  });
}

/** The files without those at or below these paths. */
export function without(files: Files, ...paths: readonly string[]): Files {
  const goes = (path: string) => paths.some((one) => path === one || path.startsWith(`${one}/`));
  return Object.fromEntries(Object.entries(files).filter(([path]) => !goes(path)));
}

export interface DeviceOptions {
  readonly group?: number;
  readonly driver?: string;
  readonly class?: string;
  readonly vendor?: string;
  readonly device?: string;
  readonly regions?: string;
}

const MSI = "0x00000000fee00000 0x00000000feefffff msi\n";

/** A PCI device, in its group and with its driver. */
export function pci(address: string, options: DeviceOptions = {}): Files {
  const { group, driver, class: code = "0x010802", vendor = "0x1b36", device = "0x0010", regions = MSI } = options;
  const home = `sys/devices/pci0000:00/${address}`;
  const at = `sys/kernel/iommu_groups/${group}`;
  return {
    [`${home}/vendor`]: `${vendor}\n`,
    [`${home}/device`]: `${device}\n`,
    [`${home}/class`]: `${code}\n`,
    [`sys/bus/pci/devices/${address}`]: { link: `../../../devices/pci0000:00/${address}` },
    ...(driver === undefined
      ? {}
      : {
          [`${home}/driver`]: { link: `../../../bus/pci/drivers/${driver}` },
          [`sys/bus/pci/drivers/${driver}/${address}`]: { link: `../../../../devices/pci0000:00/${address}` },
        }),
    ...(group === undefined
      ? {}
      : {
          [`${home}/iommu_group`]: { link: `../../../kernel/iommu_groups/${group}` },
          [`${at}/devices/${address}`]: { link: `../../../../devices/pci0000:00/${address}` },
          [`${at}/reserved_regions`]: regions,
        }),
  };
}

export function modules(names: Readonly<Record<string, Readonly<Record<string, string>>>>): Files {
  const entries = Object.entries(names).flatMap(([name, parameters]) => [
    [`sys/module/${name}/initstate`, "live\n"],
    ...Object.entries(parameters).map(([key, value]) => [`sys/module/${name}/parameters/${key}`, `${value}\n`]),
  ]);
  // Every machine has others too.
  return { "sys/module/printk/parameters/time": "Y\n", ...Object.fromEntries(entries) };
}

export const TYPE1_MODULES = modules({
  vfio: {},
  vfio_pci: { disable_idle_d3: "N", disable_denylist: "N" },
  vfio_iommu_type1: { allow_unsafe_interrupts: "N", disable_hugepages: "N", dma_entry_limit: "65535" },
});

export function linux(release: string, build = "#1 SMP PREEMPT_DYNAMIC"): Files {
  return {
    "proc/sys/kernel/osrelease": `${release}\n`,
    "proc/version": `Linux version ${release} (builder@host) (gcc) ${build}\n`,
    "proc/modules": "vfio 65536 0 - Live 0x0\n",
  };
}

/** All of root's, as they are written: bits 0 to 40. */
const ROOT = "000001ffffffffff";
/** What docker leaves to root of a container, which is no CAP_SYS_ADMIN, CAP_SYS_RAWIO, CAP_IPC_LOCK or CAP_SYS_NICE. */
export const DOCKER = "00000000a80425fb";
export const NONE = "0000000000000000";

export interface ProcessOptions {
  readonly uid?: number;
  readonly capabilities?: string;
  /** Bytes, or "unlimited". */
  readonly memlock?: string;
  readonly lockedKiB?: number;
  readonly cgroup?: string;
  readonly userNamespace?: string;
  readonly pidNamespace?: string;
  readonly seccomp?: number;
  readonly page?: number;
  readonly mounts?: string;
}

/** The process that asks: number 4000. */
export function process(options: ProcessOptions = {}): Files {
  const { uid = 0, capabilities = ROOT, memlock = "8388608", lockedKiB = 0, cgroup = "0::/user.slice\n" } = options;
  const at = "proc/4000";
  return {
    "proc/self": { link: "4000" },
    [`${at}/comm`]: "node\n",
    [`${at}/status`]: [
      "Name:\tnode",
      `Uid:\t${uid}\t${uid}\t${uid}\t${uid}`,
      `Gid:\t${uid}\t${uid}\t${uid}\t${uid}`,
      `Groups:\t${uid} `,
      `VmLck:\t${String(lockedKiB).padStart(8)} kB`,
      "VmPin:\t       0 kB",
      `CapEff:\t${capabilities}`,
      `Seccomp:\t${options.seccomp ?? 0}`,
      "",
    ].join("\n"),
    [`${at}/limits`]: `Limit                     Soft Limit           Hard Limit           Units     \nMax locked memory         ${memlock.padEnd(21)}${memlock.padEnd(21)}bytes     \n`,
    [`${at}/cgroup`]: cgroup,
    [`${at}/mountinfo`]:
      options.mounts ??
      "30 1 259:2 / / rw - ext4 /dev/nvme0n1p2 rw\n31 30 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    [`${at}/auxv`]: auxv(options.page ?? 4096),
    [`${at}/pagemap`]: "",
    [`${at}/fd/0`]: { link: "/dev/pts/0" },
    [`${at}/ns/user`]: { link: options.userNamespace ?? "user:[4026531837]" },
    [`${at}/ns/pid`]: { link: options.pidNamespace ?? "pid:[4026531836]" },
  };
}

/** Another process that has files open. */
export function another(pid: number, name: string, open: readonly string[], lockedKiB = 0): Files {
  const at = `proc/${pid}`;
  const status = `Name:\t${name}\nVmLck:\t${String(lockedKiB).padStart(8)} kB\nVmPin:\t       0 kB\n`;
  const files = open.map((path, fd) => [`${at}/fd/${fd + 3}`, { link: path }] as const);
  return { [`${at}/comm`]: `${name}\n`, [`${at}/status`]: status, ...Object.fromEntries(files) };
}

/** With an entry that is no text (AT_HWCAP), as every process has it. */
function auxv(page: number): Uint8Array {
  const words = new BigUint64Array([33n, 0x7ffd_9a5c_f000n, 16n, 0xbfeb_fbffn, 6n, BigInt(page), 17n, 100n, 0n, 0n]);
  return new Uint8Array(words.buffer);
}

/** Pools of hugepages: page size in KiB, pages, and those that are free. */
export function pools(...all: readonly (readonly [kib: number, total: number, free: number])[]): Files {
  const entries = all.flatMap(([kib, total, free]) => {
    const at = `sys/kernel/mm/hugepages/hugepages-${kib}kB`;
    return [
      [`${at}/nr_hugepages`, `${total}\n`],
      [`${at}/free_hugepages`, `${free}\n`],
      [`${at}/resv_hugepages`, "0\n"],
      [`${at}/surplus_hugepages`, "0\n"],
      [`${at}/nr_overcommit_hugepages`, "0\n"],
    ];
  });
  return Object.fromEntries(entries);
}

export const CPU = {
  intel:
    "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme de sse2 vmx\naddress sizes\t: 46 bits physical, 48 bits virtual\n",
  guest:
    "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vme de sse2 hypervisor\naddress sizes\t: 46 bits physical, 48 bits virtual\n",
  amd: "processor\t: 0\nvendor_id\t: AuthenticAMD\nflags\t\t: fpu vme de sse2 svm\n",
  arm: "processor\t: 0\nCPU implementer\t: 0x41\nCPU architecture: 8\n",
  powernv: "processor\t: 0\ncpu\t\t: POWER9, altivec supported\n\nplatform\t: PowerNV\nmachine\t\t: PowerNV 9006-12P\n",
  lpar: "processor\t: 0\ncpu\t\t: POWER10 (architected), altivec supported\n\nplatform\t: pSeries\nmachine\t\t: CHRP IBM,9080-HEX\n",
} as const;

const IOMEM = "00001000-0009fbff : System RAM\n00100000-7fffffff : System RAM\n100000000-107fffffff : System RAM\n";
const MEMINFO =
  "MemTotal:       65840128 kB\nMemFree:        40000000 kB\nMemAvailable:   50331648 kB\nSwapFree:              0 kB\n";

/** What machines of all kinds have in common. */
export function common(cpu: string, commandLine: string): Files {
  return {
    "proc/cpuinfo": cpu,
    "proc/cmdline": `BOOT_IMAGE=/vmlinuz root=/dev/nvme0n1p2 ro ${commandLine}\n`,
    "proc/meminfo": MEMINFO,
    "proc/iomem": IOMEM,
    "proc/sys/vm/max_map_count": "65530\n",
    "sys/class/net/lo/mtu": "65536\n",
  };
}

/** Units of VT-d: 48 or 39 bits, and interrupt remapping (bit 3 of the extended capabilities). */
export function vtd(bits: 39 | 48, remaps = true): Files {
  const at = "sys/class/iommu/dmar0/intel-iommu";
  const capabilities = bits === 48 ? "d2008c222f0606" : "d2008c22260206";
  return {
    [`${at}/cap`]: `${capabilities}\n`,
    [`${at}/ecap`]: remaps ? "f0f0da\n" : "f0f0d2\n",
    "sys/firmware/acpi/tables/DMAR": "",
  };
}

export const NVME = "0000:01:00.0";

/** An NVMe controller in group 26, with VFIO, and the nodes of both. */
export const BOUND: Files = {
  ...pci(NVME, { group: 26, driver: "vfio-pci" }),
  "dev/vfio/vfio": "",
  "dev/vfio/26": "",
};

/** A server with VT-d on which nothing is amiss. */
export const READY: Files = {
  ...linux("6.12.107+deb13-amd64"),
  ...common(CPU.intel, "quiet intel_iommu=on"),
  ...process({ memlock: "4294967296" }),
  ...vtd(48),
  ...TYPE1_MODULES,
  ...BOUND,
  ...pools([2048, 1024, 1024], [1048576, 0, 0]),
};
