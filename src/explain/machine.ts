/**
 * What a machine's files say about a refusal. Nothing here throws, and what cannot be read is not known: the words are a help,
 * and that they cannot be had must not hide the error itself.
 */
import { ERRNO } from "../errno.ts";
import type { MachineFiles } from "../syscalls.ts";

const ENOENT = -ERRNO.ENOENT;

/** Bits of `<linux/capability.h>`. */
export const Capability = { DAC_OVERRIDE: 1n, IPC_LOCK: 14n, SYS_RAWIO: 17n, SYS_NICE: 23n } as const;

/** The first user namespace, in which the kernel asks for capabilities (`include/linux/proc_ns.h: PROC_USER_INIT_INO`). */
const FIRST_USER_NAMESPACE = "user:[4026531837]";

/** One look at the machine, for one error: a file is read once. */
export class Machine {
  readonly #files: MachineFiles | undefined;
  readonly #texts = new Map<string, string | number | undefined>();

  constructor(files?: MachineFiles) {
    this.#files = files;
  }

  /** The same texts, for what reads a kernel's files. */
  get files(): Pick<MachineFiles, "text"> {
    return { text: (path) => this.text(path) ?? ENOENT };
  }

  /** The text of a file; `undefined` where it is not known. */
  text(path: string): string | undefined {
    const answer = this.#read(path);
    return typeof answer === "string" ? answer : undefined;
  }

  /** The number that is all a file says. */
  number(path: string): number | undefined {
    const text = this.text(path)?.trim();
    return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined;
  }

  names(path: string): readonly string[] | undefined {
    const answer = attempt(() => this.#files?.names(path));
    return Array.isArray(answer) ? answer : undefined;
  }

  link(path: string): string | undefined {
    const answer = attempt(() => this.#files?.link(path));
    return typeof answer === "string" ? answer : undefined;
  }

  /** Whether a directory is known not to be there: that it may not be read is another thing. */
  lacks(directory: string): boolean {
    return attempt(() => this.#files?.names(directory)) === ENOENT;
  }

  /** `[6, 12, 107]`. */
  get release(): readonly number[] | undefined {
    return versionOf(this.text("/proc/sys/kernel/osrelease") ?? "");
  }

  /**
   * The soft limit of a line of /proc/self/limits; `null` when unlimited. (`fs/proc/base.c: proc_pid_limits`)
   */
  limit(name: string): bigint | null | undefined {
    const line = this.text("/proc/self/limits")
      ?.split("\n")
      .find((candidate) => candidate.startsWith(`${name} `));
    const soft = line?.slice(name.length).trim().split(/\s+/)[0];
    if (soft === "unlimited") return null;
    return soft !== undefined && /^\d+$/.test(soft) ? BigInt(soft) : undefined;
  }

  /** A line of /proc/self/status. */
  status(field: string): string | undefined {
    const line = this.text("/proc/self/status")
      ?.split("\n")
      .find((candidate) => candidate.startsWith(`${field}:`));
    return line?.slice(field.length + 1).trim();
  }

  /** A line of /proc/self/status that is in kB, in bytes. */
  statusBytes(field: string): bigint | undefined {
    return kilobytes(this.status(field));
  }

  /** A line of /proc/meminfo, in bytes. */
  meminfo(field: string): bigint | undefined {
    const lines = this.text("/proc/meminfo")?.split("\n");
    return kilobytes(lines?.find((line) => line.startsWith(`${field}:`))?.slice(field.length + 1));
  }

  /** Whether this process holds a capability where the kernel asks for it: in the first user namespace. */
  holds(capability: bigint): boolean | undefined {
    const effective = this.status("CapEff");
    if (effective === undefined || !/^[0-9a-f]+$/.test(effective)) return undefined;
    const has = ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
    return has && (this.link("/proc/self/ns/user") ?? FIRST_USER_NAMESPACE) === FIRST_USER_NAMESPACE;
  }

  /** A parameter of a kernel's module, as text: `Y`, `65535`. */
  parameter(module: string, name: string): string | undefined {
    return this.text(`/sys/module/${module}/parameters/${name}`)?.trim();
  }

  /** Whether this program runs in a container, as far as its root file system tells. */
  get isContained(): boolean | undefined {
    // 36 35 98:0 / / rw,noatime shared:1 - overlay overlay rw,lowerdir=...
    const root = this.text("/proc/self/mountinfo")
      ?.split("\n")
      .find((line) => line.split(" ")[4] === "/");
    return root === undefined ? undefined : / - (overlay|aufs|fuse\.fuse-overlayfs) /.test(root);
  }

  #read(path: string): string | number | undefined {
    if (!this.#texts.has(path)) {
      this.#texts.set(
        path,
        attempt(() => this.#files?.text(path)),
      );
    }
    return this.#texts.get(path);
  }
}

/** `undefined` for a text that begins with no version. */
export function versionOf(text: string): readonly number[] | undefined {
  const [, version] = /^(\d+(?:\.\d+)*)/.exec(text) ?? [];
  return version?.split(".").map(Number);
}

/** Whether version `a` comes before `b`. */
export function isBefore(a: readonly number[], b: readonly number[]): boolean {
  for (let i = 0; i < Math.max(a.length, b.length); i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function kilobytes(text: string | undefined): bigint | undefined {
  const [, count] = /^\s*(\d+) kB$/.exec(text ?? "") ?? [];
  return count === undefined ? undefined : BigInt(count) << 10n;
}

/** A kernel of a program's own may hand over files that throw. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
