/** What this process may do: its user, its capabilities, how much it may lock; and what others have locked. */
import { Capability as Known } from "../explain/machine.ts";
import type { FileStatus } from "../syscalls.ts";
import type { Survey } from "./survey.ts";

/** Those that VFIO, memory and the machine's own words ask for (`include/uapi/linux/capability.h`). */
export const CAPABILITIES = {
  CAP_IPC_LOCK: { bit: Known.IPC_LOCK, for: "locks memory beyond RLIMIT_MEMLOCK" },
  CAP_SYS_ADMIN: { bit: 21n, for: "is shown physical addresses, in /proc/iomem and pagemap" },
  CAP_SYS_RAWIO: { bit: Known.SYS_RAWIO, for: "opens groups without an IOMMU" },
  CAP_DAC_OVERRIDE: { bit: Known.DAC_OVERRIDE, for: "opens nodes whatever their mode" },
  CAP_SYS_NICE: {
    bit: Known.SYS_NICE,
    for: "binds memory to a NUMA node where a container's seccomp filter asks for it",
  },
} as const;
export type CapabilityName = keyof typeof CAPABILITIES;

/** Who has memory locked, or pinned by other ways than VFIO's containers. Bytes. */
export interface Locker {
  readonly pid: number;
  readonly name: string;
  readonly isThisOne: boolean;
  /** VmLck: mlock, and what VFIO's containers count. */
  readonly locked: bigint;
  /** VmPin: what others count, RDMA and io_uring among them, and iommufd. */
  readonly pinned: bigint;
}

export interface ProcessFacts {
  /** `undefined`, as below: not known. */
  readonly uid: number | undefined;
  readonly gids: readonly number[] | undefined;
  /** Whether it is in the user namespace that the machine booted with, in which the kernel asks for capabilities. */
  readonly isInFirstUserNamespace: boolean | undefined;
  /** Each as it counts: where the kernel asks for it. */
  readonly capabilities: Readonly<Record<CapabilityName, boolean | undefined>>;
  /** Whether a seccomp filter is on. */
  readonly seccomp: boolean | undefined;
  readonly memlock: {
    /** Bytes; `null` is no limit. */
    readonly soft: bigint | null | undefined;
    readonly hard: bigint | null | undefined;
    /** VmLck of this process. */
    readonly used: bigint | undefined;
    /** What it can still lock; `null` where nothing limits it. */
    readonly room: bigint | null | undefined;
  };
  /** Those with most first. */
  readonly lockers: readonly Locker[];
}

const FIRST_USER_NAMESPACE = "user:[4026531837]";

export function readProcess(survey: Survey): ProcessFacts {
  const numbers = (field: string) =>
    survey
      .status(field)
      ?.split(/\s+/)
      .filter((word) => /^\d+$/.test(word))
      .map(Number);
  const namespace = survey.link("/proc/self/ns/user");
  const capabilities = Object.entries(CAPABILITIES).map(([name, { bit }]) => [name, survey.holds(bit)] as const);
  const found = Object.fromEntries(capabilities) as Record<CapabilityName, boolean | undefined>;
  const seccomp = survey.status("Seccomp");
  const gid = numbers("Gid")?.[1];
  return {
    uid: numbers("Uid")?.[1],
    gids: gid === undefined ? undefined : [...new Set([gid, ...(numbers("Groups") ?? [])])],
    isInFirstUserNamespace: namespace === undefined ? undefined : namespace === FIRST_USER_NAMESPACE,
    capabilities: found,
    seccomp: seccomp === undefined ? undefined : seccomp !== "0",
    memlock: memlockOf(survey, found.CAP_IPC_LOCK),
    lockers: lockersOf(survey),
  };
}

/**
 * `mm/util.c: __account_locked_vm`: with CAP_IPC_LOCK there is no limit; without, what is locked already counts.
 */
function memlockOf(survey: Survey, privileged: boolean | undefined): ProcessFacts["memlock"] {
  const soft = survey.limit("Max locked memory");
  const used = survey.statusBytes("VmLck");
  const room = soft === undefined ? undefined : soft === null ? null : soft > (used ?? 0n) ? soft - (used ?? 0n) : 0n;
  return { soft, hard: hardOf(survey), used, room: privileged === true ? null : room };
}

function hardOf(survey: Survey): bigint | null | undefined {
  const [, hard] =
    /^Max locked memory +(?:\d+|unlimited) +(\d{1,20}|unlimited) /m.exec(survey.text("/proc/self/limits") ?? "") ?? [];
  return hard === undefined ? undefined : hard === "unlimited" ? null : BigInt(hard);
}

/** So many are told of. */
const LOCKERS_MAX = 8;

/** `fs/proc/task_mmu.c: task_mem`. Everybody may read it, unless /proc hides other users' processes. */
function lockersOf(survey: Survey): Locker[] {
  const own = survey.link("/proc/self");
  const pids = survey.names("/proc")?.filter((name) => /^\d{1,10}$/.test(name)) ?? [];
  const all = pids.flatMap((pid): Locker[] => {
    const status = survey.text(`/proc/${pid}/status`) ?? "";
    const bytes = (field: string) => {
      const [, kilobytes] = new RegExp(`^${field}:\\s*(\\d{1,17}) kB$`, "m").exec(status) ?? [];
      return kilobytes === undefined ? 0n : BigInt(kilobytes) << 10n;
    };
    const [locked, pinned] = [bytes("VmLck"), bytes("VmPin")];
    if (locked + pinned === 0n) return [];
    const name = /^Name:\t(.*)$/m.exec(status)?.[1]?.slice(0, 64) ?? "";
    return [{ pid: Number(pid), name, isThisOne: pid === own, locked, pinned }];
  });
  const total = ({ locked, pinned }: Locker) => locked + pinned;
  return all.sort((a, b) => Number(total(b) > total(a)) - Number(total(b) < total(a))).slice(0, LOCKERS_MAX);
}

const READ_WRITE = 0o6;

/**
 * By mode, user and capability (`fs/namei.c: generic_permission`, `acl_permission_check`): the first class that fits decides.
 * `undefined` where not all of it is known.
 */
export function mayOpen(
  { uid, gids, capabilities }: Pick<ProcessFacts, "uid" | "gids" | "capabilities">,
  status: Pick<FileStatus, "mode" | "uid" | "gid">,
): boolean | undefined {
  if (capabilities.CAP_DAC_OVERRIDE === true) return true;
  const allows = (shift: number) => ((status.mode >> shift) & READ_WRITE) === READ_WRITE;
  if (allows(6) && allows(3) && allows(0)) return true;
  if (uid === undefined || gids === undefined) return undefined;
  if (uid === status.uid) return allows(6);
  return gids.includes(status.gid) ? allows(3) : allows(0);
}
