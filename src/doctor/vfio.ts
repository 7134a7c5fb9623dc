/** VFIO itself: its modules with their parameters, and the nodes that a program opens. */
import { isPciAddress } from "../pci/address.ts";
import type { FileStatus } from "../syscalls.ts";
import { configOf } from "./kernel.ts";
import { mayOpen, type ProcessFacts } from "./process.ts";
import type { Survey } from "./survey.ts";

export const MODULES = ["vfio", "vfio_pci", "vfio_iommu_type1", "vfio_iommu_spapr_tce"] as const;
export type ModuleName = (typeof MODULES)[number];

export interface ModuleFacts {
  readonly name: ModuleName;
  readonly state: "loaded" | "built in" | "missing" | undefined;
  /** As sysfs has them: `dma_entry_limit` is `65535`. */
  readonly parameters: Readonly<Record<string, string>>;
}

/** A node below /dev/vfio. */
export interface NodeFacts {
  readonly path: string;
  /** A device. In a container a directory may stand there, and in a machine's description a file does. */
  readonly kind: FileStatus["kind"] | undefined;
  /** The lower 12 bits of its mode; `undefined`, as what follows: not known. */
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Whether this process may open it, by mode, user and capabilities. It was not tried. */
  readonly mayOpen: boolean | undefined;
  /** Whether the list of devices of a cgroup has it; of version 2 that is a program in the kernel, which nobody can read. */
  readonly isListed: boolean | undefined;
}

export interface VfioFacts {
  readonly modules: readonly ModuleFacts[];
  /** Whether the kernel can load modules at all. */
  readonly loadable: boolean | undefined;
  /** Whether vfio-pci can be had on this kernel: it is there, or its distribution's files name it. */
  readonly installed: boolean | undefined;
  /** Whether it was built for devices without an IOMMU (CONFIG_VFIO_NOIOMMU). */
  readonly hasNoIommu: boolean | undefined;
  /** Whether /dev/vfio is there. */
  readonly hasDirectory: boolean | undefined;
  /** /dev/vfio/vfio */
  readonly container: NodeFacts | undefined;
  /** The names in /dev/vfio. */
  readonly nodes: readonly string[];
}

export function readVfio(survey: Survey, process: ProcessFacts, release: string | undefined): VfioFacts {
  const nodes = survey.names("/dev/vfio");
  const modules = implied(
    survey,
    MODULES.map((name) => moduleOf(survey, name)),
    nodes ?? [],
  );
  const isThere = modules.some(({ name, state }) => name === "vfio_pci" && state !== "missing" && state !== undefined);
  return {
    modules,
    loadable: loadable(survey, modules),
    installed: isThere || onDisk(survey, release),
    hasNoIommu: hasNoIommu(survey, modules, release),
    hasDirectory: survey.hasDirectory("/dev/vfio"),
    container: nodes?.includes("vfio") ? nodeAt(survey, process, "/dev/vfio/vfio") : undefined,
    nodes: nodes ?? [],
  };
}

/** A node of a group, or a module that needs it, proves that vfio is there; a device that it drives, that vfio-pci is. */
function implied(survey: Survey, modules: readonly ModuleFacts[], nodes: readonly string[]): readonly ModuleFacts[] {
  const drives = (survey.names("/sys/bus/pci/drivers/vfio-pci") ?? []).some(isPciAddress);
  const isUsed =
    drives ||
    nodes.some((name) => /^(?:noiommu-)?\d+$/.test(name)) ||
    modules.some(({ name, state }) => name !== "vfio" && (state === "loaded" || state === "built in"));
  return modules.map((one) => {
    const isProven = one.state !== "loaded" && ((one.name === "vfio" && isUsed) || (one.name === "vfio_pci" && drives));
    return isProven && one.state !== "built in" ? { ...one, state: "loaded" } : one;
  });
}

/** A kernel that can load modules lists them. */
function loadable(survey: Survey, modules: readonly ModuleFacts[]): boolean | undefined {
  if (survey.text("/proc/modules") !== undefined || modules.some(({ state }) => state === "loaded")) return true;
  return survey.names("/proc")?.includes("modules") === false ? false : undefined;
}

/** VFIO's modules have a version or parameters, so those that are built in have a directory too (`kernel/params.c: version_sysfs_builtin`). */
function moduleOf(survey: Survey, name: ModuleName): ModuleFacts {
  const at = `/sys/module/${name}`;
  const isThere = survey.names(at) !== undefined;
  const parameters = (survey.names(`${at}/parameters`) ?? []).flatMap((parameter) => {
    const value = survey.parameter(name, parameter);
    return value === undefined ? [] : [[parameter, value.slice(0, 80)] as const];
  });
  return {
    name,
    state: isThere ? loadedAs(survey, at) : missingOf(survey, name),
    parameters: Object.fromEntries(parameters),
  };
}

/** What is built in has no state of its own (`kernel/module/sysfs.c: module_uevent`). */
function loadedAs(survey: Survey, at: string): "loaded" | "built in" {
  const state = survey.text(`${at}/initstate`);
  if (state !== undefined) return "loaded";
  return survey.text("/proc/modules")?.includes(`\n${at.slice("/sys/module/".length)} `) ? "loaded" : "built in";
}

function missingOf(survey: Survey, name: ModuleName): "missing" | "built in" | undefined {
  if (name === "vfio_pci" && survey.names("/sys/bus/pci/drivers/vfio-pci") !== undefined) return "built in";
  if (name === "vfio" && survey.names("/sys/class/misc/vfio") !== undefined) return "built in";
  return survey.names("/sys/module") !== undefined && survey.lacks(`/sys/module/${name}`) ? "missing" : undefined;
}

/** depmod's lists: which modules there are, and what is built in. In a container they are another system's, and mostly not there. */
function onDisk(survey: Survey, release: string | undefined): boolean | undefined {
  if (release === undefined || !/^[\w.+~-]+$/.test(release)) return undefined;
  const lists = ["modules.dep", "modules.builtin"].map((name) => survey.text(`/lib/modules/${release}/${name}`));
  if (lists.every((list) => list === undefined)) return undefined;
  return lists.some((list) => /\/vfio[-_]pci\.ko/.test(list ?? ""));
}

/** The parameter is there where it was built in (`drivers/vfio/vfio_main.c: enable_unsafe_noiommu_mode`). */
function hasNoIommu(survey: Survey, modules: readonly ModuleFacts[], release: string | undefined): boolean | undefined {
  const vfio = modules.find(({ name }) => name === "vfio");
  if (vfio?.parameters.enable_unsafe_noiommu_mode !== undefined) return true;
  if (vfio?.state === "loaded") return false;
  const config = configOf(survey, release);
  return config === undefined ? undefined : /^CONFIG_VFIO_NOIOMMU=y$/m.test(config);
}

/** A file with the mode that every new file gets says nothing about the node that it stands for: udev gives none of VFIO's that mode. */
function isPlain({ kind, mode }: FileStatus): boolean {
  return kind === "file" && (mode === 0o644 || mode === 0o664);
}

export function nodeAt(survey: Survey, process: ProcessFacts, path: string): NodeFacts {
  const status = survey.statusOf(path);
  return {
    path,
    kind: status?.kind,
    mode: status?.mode,
    uid: status?.uid,
    gid: status?.gid,
    mayOpen: status && !isPlain(status) ? mayOpen(process, status) : undefined,
    isListed: status?.device && isListed(survey, status.device),
  };
}

/**
 * `a *:* rwm` or `c 10:196 rw` (`security/device_cgroup.c: devcgroup_seq_show`), of version 1 of cgroups, and of the group that this
 * process sees as its own.
 */
function isListed(survey: Survey, [major, minor]: NonNullable<FileStatus["device"]>): boolean | undefined {
  const [, path] = /^\d+:devices:(\/.*)$/m.exec(survey.text("/proc/self/cgroup") ?? "") ?? [];
  if (path === undefined || path.split("/").includes("..")) return undefined;
  const at = `/sys/fs/cgroup/devices${path === "/" ? "" : path}/devices.list`;
  const list = survey.text(at) ?? survey.text("/sys/fs/cgroup/devices/devices.list");
  return list?.split("\n").some((line) => {
    const [, kind, first, second, access = ""] = /^([abc]) (\d+|\*):(\d+|\*) ([rwm]+)$/.exec(line) ?? [];
    if (kind !== "a" && kind !== "c") return false;
    const is = (word: string | undefined, number: number) => word === "*" || Number(word) === number;
    return is(first, major) && is(second, minor) && access.includes("r") && access.includes("w");
  });
}
