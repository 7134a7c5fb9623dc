/**
 * One program at a time changes who drives a device, or another one of its group. Who is about to says so in a file whose name is who it
 * is, looks who else does, and goes on only where nobody is there:
 *
 *     /run/dma-window/changing/group 26@1234.1234.88123.0       process, thread, when that began, how many times it tried
 *
 * Of two that are there at once the later one to come has the other's file before it when it looks, so never do both go on. A file
 * whose thread has gone is nobody's (SIGKILL leaves one), and anybody removes it: its name is never used again. So there is no moment at
 * which a program takes another one's file for an old one, as there is where one file is taken over; and nothing native is needed, as
 * flock(2) would.
 *
 * Threads are looked for in the /proc of the machine: one in a process namespace of its own has to be shown the host's, by `root`.
 */
import { ERRNO } from "../errno.ts";
import { DmaWindowError, errnoName } from "../errors.ts";
import type { MachineFiles } from "../syscalls.ts";
import { sleep } from "./sysfs.ts";

const DIRECTORY = "/run/dma-window/changing";

/** `what@process.thread.beginning.attempt`, and behind it what a file has while it is not there yet (system/machine-files.ts). */
const NAME = /^([^@]+)@(\d+)\.(\d+)\.(\d+)\.\d+(\.\d+)?$/;

/** Two that come at once both step back, and come again after a while that is not the same. In milliseconds. */
const PAUSE = 8;

/** So often nobody meets by chance. */
const TRIES = 64;

/** Who changes something. */
interface Claimant {
  readonly name: string;
  readonly process: number;
  readonly thread: number;
}

/** What is claimed, and where its machine says who runs. */
export interface Claiming {
  readonly files: MachineFiles;
  /** Where `/proc` is asked where that of `files` is no process's: a tree of files has none of its own. */
  readonly own: MachineFiles;
  readonly address: string;
  readonly group: number | undefined;
  /** How long whoever is there is waited for, in milliseconds. */
  readonly patience: number;
}

let attempts = 0;

/**
 * Does it while no other program changes the device, or another one of its group.
 *
 * @throws `ERR_BUSY` (facts: address, pid), and what `change` throws; `ERR_KERNEL` where `/run` cannot be written to.
 */
export function whileClaimed<T>(claiming: Claiming, change: () => T): T {
  const { address, group } = claiming;
  const claims = [claim(claiming, address)];
  try {
    if (group !== undefined) claims.push(claim(claiming, `group ${group}`));
    return change();
  } finally {
    for (const release of claims.reverse()) release();
  }
}

/** Gives what ends it. */
function claim(claiming: Claiming, what: string): () => void {
  const { files, own, patience } = claiming;
  const { keep, remove } = files;
  const proc = [files, own].find((one) => typeof one.text("/proc/thread-self/stat") === "string");
  const me = proc && selfIn(proc);
  if (keep === undefined || remove === undefined || proc === undefined || me === undefined) return () => {};
  const end = performance.now() + patience;
  let before: Claimant | undefined;
  for (let tries = 1; ; tries++) {
    const name = `${what}@${me}.${attempts++}`;
    const path = `${DIRECTORY}/${name}`;
    const answer = keep.call(files, path, "");
    if (answer === -ERRNO.EACCES || answer === -ERRNO.EPERM) return () => {}; // who may not write here may write nothing
    if (answer !== 0) throw cannotKeep(path, answer);
    const release = () => {
      remove.call(files, path);
    };
    const other = othersIn(files, proc, what, name)[0];
    if (other === undefined) return release;
    release();
    const isThereStill = before?.name === other.name;
    if ((isThereStill || tries >= TRIES) && performance.now() >= end) throw busy(claiming, what, other);
    before = other;
    sleep(1 + Math.random() * PAUSE);
  }
}

/** `process.thread.beginning` of this thread. */
function selfIn(proc: MachineFiles): string | undefined {
  const pid = Number.parseInt(String(proc.text("/proc/self/stat")), 10);
  const thread = stat(proc, "/proc/thread-self/stat");
  return Number.isSafeInteger(pid) && thread !== undefined ? `${pid}.${thread.id}.${thread.began}` : undefined;
}

/** Those whose threads run. What others left is removed. */
function othersIn(files: MachineFiles, proc: MachineFiles, what: string, own: string): Claimant[] {
  const names = files.names(DIRECTORY);
  if (typeof names === "number") return [];
  const found: Claimant[] = [];
  for (const name of names) {
    const [, of, process, thread, began, unfinished] = NAME.exec(name) ?? [];
    if (of !== what || name === own) continue;
    const isRunning = stat(proc, `/proc/${process}/task/${thread}/stat`)?.began === began;
    if (!isRunning) files.remove?.(`${DIRECTORY}/${name}`);
    else if (unfinished === undefined) found.push({ name, process: Number(process), thread: Number(thread) });
  }
  return found;
}

/** `tid (name) state ppid ...`; the time of its beginning is the 22nd field. (man 5 proc_pid_stat) */
function stat(proc: MachineFiles, path: string): { readonly id: string; readonly began: string } | undefined {
  const text = proc.text(path);
  if (typeof text !== "string") return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [id, began] = [Number.parseInt(text, 10), fields[19]];
  return Number.isSafeInteger(id) && began !== undefined && /^\d+$/.test(began) ? { id: `${id}`, began } : undefined;
}

function busy({ address }: Claiming, what: string, { process, thread }: Claimant): DmaWindowError {
  const which = what === address ? "it" : `a device of its ${what}`;
  const who = process === thread ? `process ${process}` : `thread ${thread} of process ${process}`;
  return new DmaWindowError(
    "ERR_BUSY",
    `${address} cannot be bound or given back now: ${who} is binding ${which}, or giving ${which} back. Try again when that is done`,
    { facts: { address, pid: process } },
  );
}

function cannotKeep(path: string, answer: number): DmaWindowError {
  return new DmaWindowError(
    "ERR_KERNEL",
    `that a device is being bound cannot be kept in ${path}: ${errnoName(answer)}. See that /run can be written to: other programs look there`,
    { errno: answer, syscall: "open", facts: { path } },
  );
}
