/** Which processes have which files open, as far as this one may see them: root sees all (`fs/proc/fd.c: proc_fd_link`). */
import type { Machine } from "../explain/machine.ts";

/** What the kernel calls an open device of VFIO's (`drivers/vfio/group.c: vfio_device_open_file`). */
const DEVICE_FILE = "anon_inode:[vfio-device]";

/** A process that has a file open. */
export interface Opener {
  readonly pid: string;
  /** What it is called; "" where it does not say. */
  readonly name: string;
  readonly isThisOne: boolean;
}

/** One walk over all descriptors, at the first question. Cost: a system call for each descriptor of the machine. */
export class Openers {
  readonly #machine: Machine;
  #byFile: Map<string, Set<string>> | undefined;
  #devicesOfThis = 0;
  #hidden = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Those that have the file open; none where that is not known. */
  of(path: string): Opener[] {
    const own = this.#own;
    return [...(this.#walked.get(path) ?? [])].map((pid) => ({
      pid,
      name: this.#machine.text(`/proc/${pid}/comm`)?.trim() ?? "",
      isThisOne: pid === own,
    }));
  }

  /** How many descriptors of VFIO devices this process has, whichever thread opened them. */
  get devicesOfThisProcess(): number {
    void this.#walked;
    return this.#devicesOfThis;
  }

  /** How many processes do not show this one what they have open. */
  get hidden(): number {
    void this.#walked;
    return this.#hidden;
  }

  get #own(): string {
    return this.#machine.link("/proc/self") ?? "self";
  }

  get #walked(): ReadonlyMap<string, ReadonlySet<string>> {
    this.#byFile ??= this.#walk();
    return this.#byFile;
  }

  #walk(): Map<string, Set<string>> {
    const found = new Map<string, Set<string>>();
    const own = this.#own;
    const pids = this.#machine.names("/proc")?.filter((name) => /^\d+$/.test(name)) ?? [];
    for (const pid of pids.includes(own) ? pids : [own, ...pids]) {
      const open = this.#machine.names(`/proc/${pid}/fd`);
      if (open === undefined) this.#hidden++;
      for (const fd of open ?? []) {
        const path = this.#machine.link(`/proc/${pid}/fd/${fd}`);
        if (path === undefined || !(path.startsWith("/dev/") || path === DEVICE_FILE)) continue;
        if (path === DEVICE_FILE && pid === own) this.#devicesOfThis++;
        const users = found.get(path) ?? new Set();
        found.set(path, users.add(pid));
      }
    }
    return found;
  }
}

/** `process 4711 (qemu)`. */
export function openerWords({ pid, name, isThisOne }: Opener): string {
  if (isThisOne) return "this process";
  return `process ${pid}${name === "" ? "" : ` (${name})`}`;
}
