import type { MachineFiles } from "../syscalls.ts";
import { Device } from "./device.ts";
import { EINVAL, EISDIR, ENOTDIR } from "./errno.ts";
import { Eventfd } from "./eventfd.ts";
import type { FileTree } from "./file-tree.ts";
import type { OpenFile } from "./open-file.ts";
import type { Process } from "./process.ts";

/** CAP_IPC_LOCK and CAP_SYS_RAWIO, which a process of the model has together or not at all. */
const CAPABILITIES = (1n << 14n) | (1n << 17n);

/** The machine that the files are of, and who else runs there. */
export interface Shared {
  readonly files: FileTree;
  readonly processes: readonly Process[];
}

/** The first process's number. */
const FIRST_PID = 1000;

/**
 * The files of a machine as one of its processes sees them: also what it may lock, and has locked, and what it and the others have open.
 *
 *     /proc/self          a link to /proc/1000
 *     /proc/1000/limits   Max locked memory
 *     /proc/1000/status   VmLck, CapEff
 *     /proc/1000/fd/3     a link to what the descriptor leads to
 *     /proc/1000/fdinfo/3 how it was opened
 *
 * (`fs/proc/base.c: proc_pid_limits, proc_fd_link`, `fs/proc/array.c: proc_pid_status`, `fs/proc/fd.c: seq_show`) Each write is `around`'s: whoever watches hears
 * at its end what became of IOVAs.
 */
export function withProcess(machine: Shared, process: Process, around: <T>(work: () => T) => T): MachineFiles {
  const { files } = machine;
  const own = (path: string) => {
    const [, pid, rest] = /^\/proc\/(self|\d+)(?:\/(.*))?$/.exec(path) ?? [];
    if (pid === undefined) return undefined;
    const found = pid === "self" ? process : machine.processes.find(({ id }) => FIRST_PID + id === Number(pid));
    return found && entryOf(found, rest ?? "");
  };
  return {
    text: (path) => {
      const entry = own(path);
      if (entry === undefined) return files.text(path);
      return entry.text ?? (entry.names === undefined ? EINVAL : EISDIR);
    },
    names: (path) => {
      if (path === "/proc") return [...rootNames(machine), ...namesIn(files, path)].sort();
      const entry = own(path);
      return entry === undefined ? files.names(path) : (entry.names ?? ENOTDIR);
    },
    link: (path) => {
      if (path === "/proc/self") return `${FIRST_PID + process.id}`;
      const entry = own(path);
      return entry === undefined ? files.link(path) : (entry.link ?? EINVAL);
    },
    write: (path, text) => around(() => files.write(path, text)),
    keep: (path, text) => files.keep(path, text),
    remove: (path) => files.remove(path),
  };
}

interface ProcessEntry {
  readonly text?: string;
  readonly names?: readonly string[];
  readonly link?: string;
}

/** What stands at a path in a process's directory; `undefined` for nothing. */
function entryOf(process: Process, path: string): ProcessEntry | undefined {
  const files = new Map(process.descriptors.all.map(([fd, file]) => [`${fd}`, file]));
  if (path === "") return { names: ["fd", "fdinfo", "limits", "status"] };
  if (path === "limits") return { text: limitsOf(process) };
  if (path === "status") return { text: statusOf(process) };
  const [, directory, fd] = /^(fd|fdinfo)(?:\/(.*))?$/.exec(path) ?? [];
  if (directory === undefined) return undefined;
  if (fd === undefined) return { names: [...files.keys()].sort() };
  const file = files.get(fd);
  return file && (directory === "fd" ? { link: targetOf(file) } : { text: infoOf(file) });
}

/** A device has no path, and is called by its kind. (`drivers/vfio/group.c: vfio_device_open_file`) */
function targetOf(file: OpenFile): string {
  return file instanceof Device ? "anon_inode:[vfio-device]" : file.path;
}

/** O_RDWR, O_NONBLOCK and O_CLOEXEC: the same on the machines that a model can be. */
const Flag = { READ_WRITE: 0o2, NON_BLOCKING: 0o4000, CLOSE_ON_EXEC: 0o2000000 } as const;

/** Everything here is for reading and writing, and closed by exec: a device's descriptor by itself, the others as the seam opens them. */
function infoOf(file: OpenFile): string {
  const flags = Flag.READ_WRITE | Flag.CLOSE_ON_EXEC | (file instanceof Eventfd ? Flag.NON_BLOCKING : 0);
  return `pos:\t0\nflags:\t0${flags.toString(8)}\n`;
}

function rootNames({ processes }: Shared): string[] {
  return ["self", ...processes.map(({ id }) => `${FIRST_PID + id}`)];
}

function namesIn(files: FileTree, path: string): readonly string[] {
  const names = files.names(path);
  return typeof names === "number" ? [] : names;
}

function limitsOf({ locked }: Process): string {
  const limit = locked.limits.limit === null ? "unlimited" : String(locked.limits.limit);
  const columns = (name: string, soft: string, hard: string, units: string) =>
    `${name.padEnd(26)}${soft.padEnd(21)}${hard.padEnd(21)}${units.padEnd(10)}\n`;
  return columns("Limit", "Soft Limit", "Hard Limit", "Units") + columns("Max locked memory", limit, limit, "bytes");
}

function statusOf({ locked }: Process): string {
  const { used, privileged } = locked.report();
  const effective = (privileged ? CAPABILITIES : 0n).toString(16).padStart(16, "0");
  return `VmLck:\t${String(used >> 10n).padStart(8)} kB\nCapEff:\t${effective}\n`;
}
