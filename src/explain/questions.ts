/** Questions to the machine that several causes have in common. */
import { bytes } from "../hex.ts";
import type { Asked, Finding, Question } from "./cause.ts";
import { known, operand } from "./facts.ts";
import { Capability, type Machine } from "./machine.ts";

/** RLIMIT_NOFILE (`fs/file.c: alloc_fd`): how many are open is what /proc/self/fd lists. */
export const openFiles: Question = (machine) => {
  const limit = machine.limit("Max open files");
  const open = machine.names("/proc/self/fd")?.length;
  if (typeof limit !== "bigint" || open === undefined) return undefined;
  return { verdict: "likely", why: `this process has ${open} files open, and may have ${limit}` };
};

/** The mode of a node: it stops nobody who has CAP_DAC_OVERRIDE (`fs/namei.c: generic_permission`). */
export const fileMode: Question = (machine) => {
  const overrides = machine.holds(Capability.DAC_OVERRIDE);
  if (overrides === undefined) return undefined;
  if (overrides)
    return { verdict: "ruled out", why: "the node's mode is in the way: this process has CAP_DAC_OVERRIDE" };
  const user = machine.status("Uid")?.split(/\s+/)[1];
  return { verdict: "likely", why: `${user === undefined ? "this user" : `user ${user}`} may not open the node` };
};

/** A list of devices belongs to a container (`security/device_cgroup.c: devcgroup_check_permission`). */
export const deviceList: Question = (machine) => {
  const contained = machine.isContained;
  if (contained === undefined) return undefined;
  return { verdict: contained ? "likely" : "possible" };
};

/** The drivers of a group's devices, where the machine lists the group. */
export function driversOf(machine: Machine, { group }: Asked): ReadonlyMap<string, string | undefined> | undefined {
  if (typeof group !== "number") return undefined;
  const directory = `/sys/kernel/iommu_groups/${group}/devices`;
  const devices = machine.names(directory);
  if (devices === undefined) return undefined;
  return new Map(devices.map((name) => [name, machine.link(`${directory}/${name}/driver`)?.split("/").at(-1)]));
}

/** Whether a device of the group is with a driver that is not VFIO's. */
export const kernelDriver: Question = (machine, asked) => {
  const drivers = driversOf(machine, asked);
  if (drivers === undefined) return undefined;
  const others = [...drivers].filter(
    ([, driver]) => driver !== undefined && !/vfio|^pci-stub$|^pcieport$/.test(driver),
  );
  if (others.length === 0) return { verdict: "unlikely" };
  const who = others.map(([name, driver]) => `${name} is in use by ${driver}`).join(", ");
  return { verdict: "sure", why: `${who}, and belongs to the group too` };
};

/**
 * RLIMIT_MEMLOCK (`mm/util.c: __account_locked_vm`). `charged` is what the call would add, where that is its length.
 */
export function lockedLimit(charged: (asked: Asked) => bigint | undefined): Question {
  return (machine, asked): Finding | undefined => {
    if (machine.holds(Capability.IPC_LOCK)) {
      return { verdict: "ruled out", why: "RLIMIT_MEMLOCK is too low: this process has CAP_IPC_LOCK" };
    }
    const limit = machine.limit("Max locked memory");
    if (limit === null) return { verdict: "ruled out", why: "RLIMIT_MEMLOCK is too low: there is no limit" };
    const used = machine.statusBytes("VmLck");
    if (limit === undefined || used === undefined) return undefined;
    const more = charged(asked);
    const now = `${bytes(used)} are locked of the ${bytes(limit)} that RLIMIT_MEMLOCK allows`;
    if (more === undefined) return { verdict: "likely", why: now };
    return { verdict: used + more > limit ? "sure" : "unlikely", why: `${now}, and ${bytes(more)} would come on top` };
  };
}

/** The same by what a trace shows: what may still be locked, and what the call's memory would add. */
export function overLimit(asked: Asked): string | boolean | undefined {
  const [left, size] = [known(asked, "lockable"), operand(asked, "size")];
  if (left === undefined || size === undefined) return undefined;
  return size > left && `${bytes(left)} may still be locked, and ${bytes(size)} would come on top`;
}

/** The length that the call was about. */
export function lengthOf({ length }: Asked): bigint | undefined {
  return typeof length === "bigint" ? length : undefined;
}

/** A parameter of a module that, where it has this value, rules its cause out. */
export function unlessParameter(module: string, name: string, value: string, why: string): Question {
  return (machine) => (machine.parameter(module, name) === value ? { verdict: "ruled out", why } : undefined);
}

/** Whether a capability is there: with it the cause is none. */
export function without(capability: keyof typeof Capability, why: string): Question {
  return (machine) => {
    const holds = machine.holds(Capability[capability]);
    if (holds === undefined) return undefined;
    const name = `CAP_${capability}`;
    return holds
      ? { verdict: "ruled out", why: `${name} is missing: this process has it` }
      : { verdict: "likely", why: `${why}, which this process does not have` };
  };
}

/** A module, or a driver that is built in, is known by its directory in /sys/module. */
export function moduleMissing(module: string): Question {
  return (machine) => {
    if (machine.names(`/sys/module/${module}`) !== undefined) return { verdict: "unlikely" };
    return machine.lacks(`/sys/module/${module}`) && machine.names("/sys/module") !== undefined
      ? { verdict: "likely" }
      : undefined;
  };
}
