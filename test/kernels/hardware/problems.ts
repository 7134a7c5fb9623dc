/** What has to be so before anything is run on a machine that is somebody's: said in words, and put right by its owner. */
import { spawnSync } from "node:child_process";
import { closeSync, openSync, statSync } from "node:fs";
import { linuxKernel } from "../../../src/linux/index.ts";
import { shim } from "../../../src/linux/shim.ts";
import type { LockedMemory } from "../../../src/syscalls.ts";
import { isSystemError } from "../../../src/system/files.ts";
import { type GroupDevice, groupProblems, type IommuGroup, readGroups } from "../../../src/system/groups.ts";
import { NOBODY } from "../guest/machine.ts";
import { type Roots, thisSystem } from "./machine.ts";
import { partsOfRoot } from "./parts.ts";
import { environment, programs } from "./programs.ts";

/** The machine and this process, as far as it has to be asked whether they will do. */
export interface Circumstances {
  readonly platform: string;
  readonly isRoot: boolean;
  readonly groups: readonly IommuGroup[];
  readonly locked: LockedMemory;
  /** Why a node does not open, as an errno's name; `undefined` where it does. It is closed again at once. */
  refuses(node: string): string | undefined;
  /** Whether everybody may read and write a node, or would if it were there. */
  isOpenToAll(node: string): boolean;
  /** Why the shim cannot be loaded. */
  readonly withoutShim: string | undefined;
  /** Whether the user nobody can start Node here, and read these programs. */
  nobodyRuns(): boolean;
}

/** More than any part locks at a time without hugepages. */
const ENOUGH_LOCKED = 512n << 20n;

/** What stands against running these parts on these groups: one sentence or more for each; empty when nothing does. */
export function problemsOf(asked: readonly number[], parts: readonly string[], found: Circumstances): string[] {
  if (found.platform !== "linux") return [`VFIO is part of Linux, and this is ${found.platform}`];
  const problems = asked.flatMap((id) => problemsOfGroup(id, found));
  const ofRoot = parts.filter((part) => partsOfRoot.includes(part));
  if (ofRoot.length > 0) problems.push(...problemsOfRoot(ofRoot, found));
  if (found.withoutShim !== undefined) problems.push(found.withoutShim);
  const { limit, privileged } = found.locked;
  if (!privileged && limit !== null && limit < ENOUGH_LOCKED)
    problems.push(
      `RLIMIT_MEMLOCK is ${limit >> 10n} KiB, and CAP_IPC_LOCK is missing: the tests lock up to ${ENOUGH_LOCKED >> 20n} MiB, and ` +
        "hugepages besides. Start them as root, or from a shell with ulimit -l unlimited",
    );
  return problems;
}

function problemsOfGroup(id: number, found: Circumstances): string[] {
  const group = found.groups.find((one) => one.id === id);
  if (group === undefined) return [`there is no IOMMU group ${id}: ${whichThereAre(found.groups)}`];
  const problems = groupProblems(group);
  if (problems.length > 0) return [[...problems, ...howToBind(group.devices)].join("\n")];
  if (group.node?.includes("noiommu")) return [`group ${id} has no IOMMU, and these tests are about one`];
  const node = group.node ?? `/dev/vfio/${id}`;
  const errno = found.refuses(node);
  if (errno === undefined) return [];
  if (errno === "EBUSY")
    return [`${node} is in use: another program has group ${id}, and these tests need it to themselves`];
  return [`${node} cannot be opened (${errno}): start the tests as root, or make the node yours`];
}

function whichThereAre(groups: readonly IommuGroup[]): string {
  if (groups.length === 0) return "this machine has no groups at all, so its IOMMU is off or absent";
  const ready = groups.filter(({ devices }) => devices.some(({ driver }) => driver?.includes("vfio")));
  if (ready.length === 0) return `of ${groups.length} groups, none has a device that is bound to a VFIO driver`;
  return `those with a device that is bound to a VFIO driver are ${ready.map((group) => group.id).join(", ")}`;
}

/** What to type, for the devices that stand in the way. A bridge can stay with its driver. */
function howToBind(devices: readonly GroupDevice[]): string[] {
  const bystander = (driver: string | null) => driver !== null && /vfio|^pcieport$|^pci-stub$/.test(driver);
  const isPci = (name: string) => /^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/.test(name);
  const todo = devices.filter(({ name, driver }) => isPci(name) && !bystander(driver));
  if (todo.length === 0) return [];
  return [
    "  Binding takes a device from whatever uses it, so it is left to you. As root:",
    "    modprobe vfio-pci",
    ...todo.flatMap(({ name, driver }) => [
      `    echo vfio-pci > /sys/bus/pci/devices/${name}/driver_override`,
      ...(driver === null ? [] : [`    echo ${name} > /sys/bus/pci/devices/${name}/driver/unbind`]),
      `    echo ${name} > /sys/bus/pci/drivers_probe`,
    ]),
    "  To give it back, empty driver_override (echo > ...), then unbind and probe again.",
  ];
}

function problemsOfRoot(parts: readonly string[], found: Circumstances): string[] {
  const names = parts.join(" and ");
  if (!found.isRoot)
    return [
      `${names} start programs as the user nobody, which takes root. Start the tests as root, or without ${names} (--parts)`,
    ];
  const problems: string[] = [];
  if (!found.isOpenToAll("/dev/vfio/vfio"))
    problems.push(
      `/dev/vfio/vfio is not open to everybody, as Linux makes it: ${names} start programs as nobody. It gives nobody a device. ` +
        `chmod 666 /dev/vfio/vfio, or leave out ${names} (--parts)`,
    );
  if (!found.nobodyRuns())
    problems.push(
      `the user nobody cannot run ${programs.guest} with ${process.execPath}, as ${names} have it: put this package and Node ` +
        `where everybody can read them, or leave out ${names} (--parts)`,
    );
  return problems;
}

/** As it is here. */
export function theseCircumstances(roots: Roots = thisSystem): Circumstances {
  return {
    platform: process.platform,
    isRoot: process.geteuid?.() === 0,
    groups: readGroups(roots.groups, roots.nodes),
    get locked() {
      return linuxKernel().lockedMemory();
    },
    refuses(node) {
      try {
        closeSync(openSync(node, "r+"));
        return undefined;
      } catch (error) {
        if (isSystemError(error)) return error.code;
        throw error;
      }
    },
    isOpenToAll: (node) => ((statSync(node, { throwIfNoEntry: false })?.mode ?? 0o666) & 0o666) === 0o666,
    get withoutShim() {
      try {
        shim();
        return undefined;
      } catch (error) {
        return (error as Error).message;
      }
    },
    nobodyRuns() {
      const silent = { uid: NOBODY, gid: NOBODY, env: environment(), stdio: "ignore" } as const;
      return spawnSync(process.execPath, [programs.guest, "hello"], silent).status === 0;
    },
  };
}
