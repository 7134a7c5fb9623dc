import type { MachineFiles } from "../syscalls.ts";
import type { Process } from "./process.ts";

/** CAP_IPC_LOCK and CAP_SYS_RAWIO, which a process of the model has together or not at all. */
const CAPABILITIES = (1n << 14n) | (1n << 17n);

/**
 * The files of a machine as one of its processes sees them: what it may lock, and has locked.
 *
 *     /proc/self/limits   Max locked memory
 *     /proc/self/status   VmLck, CapEff
 *
 * (`fs/proc/base.c: proc_pid_limits`, `fs/proc/array.c: proc_pid_status`)
 */
export function withProcess(files: MachineFiles, process: Process): MachineFiles {
  const texts: Readonly<Record<string, () => string>> = {
    "/proc/self/limits": () => limitsOf(process),
    "/proc/self/status": () => statusOf(process),
  };
  const own = (path: string) => (Object.hasOwn(texts, path) ? texts[path] : undefined);
  return {
    text: (path) => own(path)?.() ?? files.text(path),
    names: (path) => (path === "/proc/self" ? ["limits", "status"] : files.names(path)),
    link: (path) => files.link(path),
  };
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
