/** The files by which a program discovers devices: `/dev/vfio`, and what `/sys` says of PCI. */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ModelKernel } from "../model/index.ts";
import { type Supervision, WatchList } from "../supervision.ts";
import type { MachineFiles } from "../syscalls.ts";
import { Covered, identityOf } from "./covered.ts";
import { entriesOf, fileKey } from "./event.ts";
import { procText } from "./proc.ts";

/** `/dev/vfio/vfio`: a device of kind misc. (`include/linux/miscdevice.h: VFIO_MINOR`) */
const MISC = 10n;
const VFIO_MINOR = 196n;
const ALL_MINORS = 2n ** 64n - 1n;

/** What discovery looks at besides `/dev/vfio`; all of each is the model's, and nothing of it the machine's. */
const REPLACED = ["/sys/bus/pci/devices", "/sys/bus/pci/drivers", "/sys/kernel/iommu_groups", "/dev/vfio"];
const MODULES = ["vfio", "vfio_pci", "vfio_iommu_type1", "vfio_iommu_spapr_tce"];

/** What the program sees of the machine: the model's nodes and PCI devices in place of the machine's own. */
export interface World {
  /** Which node of the model a file stands for. */
  readonly nodes: ReadonlyMap<string, string>;
  /** Why the machine's own are not hidden and the model's not shown; then only the paths of nodes are. An errno, or 0. */
  readonly refused: number;
}

/** Makes it, for this process and those that it begins; their mounts are seen by nobody else. */
export function makeWorld(native: Supervision, { files }: ModelKernel): World {
  native.execWatch(WatchList.REAL, entriesOf(realNodes()));
  const covered = new Covered(native);
  const refused = covered.begin();
  native.execJudgeAll(refused === 0 ? 0 : 1);
  if (refused !== 0) return { nodes: new Map(), refused };
  for (const path of REPLACED) covered.replace(path);
  for (const module of MODULES) covered.extend(`/sys/module/${module}`);
  covered.extend("/sys/devices");
  const buses = namesIn(files, "/sys/devices").filter((name) => /^pci[0-9a-f]{4,}:[0-9a-f]{2}$/.test(name));
  for (const bus of buses) covered.extend(`/sys/devices/${bus}`);
  for (const path of [...REPLACED, ...buses.map((bus) => `/sys/devices/${bus}`)]) copyTree(files, path, covered);
  const nodes = new Map<string, string>();
  const watched: (readonly [bigint, bigint])[] = [];
  for (const name of namesIn(files, "/dev/vfio")) {
    const path = `/dev/vfio/${name}`;
    // As devtmpfs makes them: `drivers/vfio/container.c, group.c: vfio_devnode`.
    chmodSync(path, name === "vfio" ? 0o666 : 0o600);
    const identity = identityOf(path);
    nodes.set(fileKey(...identity), path);
    watched.push(identity);
  }
  native.execWatch(WatchList.NODES, entriesOf(watched));
  return { nodes, refused: 0 };
}

/** Files as they are now. What is written to them changes nothing. */
function copyTree(files: MachineFiles, path: string, covered: Covered): void {
  for (const name of namesIn(files, path)) {
    const at = join(path, name);
    const link = files.link(at);
    const text = files.text(at);
    if (typeof link === "string") {
      mkdirSync(dirname(at), { recursive: true });
      symlinkSync(link, at);
    } else if (namesIn(files, at).length > 0) {
      covered.extend(at);
      copyTree(files, at, covered);
    } else {
      writeFileSync(at, typeof text === "string" ? text : "");
    }
  }
}

function namesIn(files: MachineFiles, path: string): readonly string[] {
  const names = files.names(path);
  return typeof names === "number" ? [] : names;
}

/** Numbers of the machine's own nodes: of containers, groups, devices, and of iommufd. */
function realNodes(): (readonly [bigint, bigint])[] {
  const majors = [...procText("/proc/devices").matchAll(/^ *(\d+) vfio(?:-dev)?$/gm)];
  const minors = [...procText("/proc/misc").matchAll(/^ *(\d+) (?:vfio|iommu)$/gm)];
  return [
    [MISC, VFIO_MINOR],
    ...majors.map(([, major = "0"]) => [BigInt(major), ALL_MINORS] as const),
    ...minors.map(([, minor = "0"]) => [MISC, BigInt(minor)] as const),
  ];
}
