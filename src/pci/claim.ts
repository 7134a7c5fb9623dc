/**
 * One program at a time changes who drives a device, or another one of its group. Who is about to says so in a file whose name is who it
 * is, looks who else does, and goes on only where nobody is there:
 *
 *     /run/dma-window/changing/group 26@1234.1234.88123.0       process, thread, when that began, how many times it tried
 *
 * Of two that are there at once the later one to come has the other's file before it when it looks, so never do both go on. A file
 * whose thread is known to have gone is nobody's (SIGKILL leaves one), and anybody removes it: its name is never used again. So there is no moment at
 * which a program takes another one's file for an old one, as there is where one file is taken over; and nothing native is needed, as
 * flock(2) would.
 *
 * Threads are looked for in the /proc of the machine: one in a process namespace of its own has to be shown the host's, by `root`.
 */
import { ERRNO } from "../errno.ts";
import { DmaWindowError, errnoName, messageOf, withResidue } from "../errors.ts";
import type { MachineFiles } from "../syscalls.ts";
import { warn } from "../warn.ts";
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

/** Not from 0 on: another copy of this package in the same thread counts too, and no two files may have one name. */
let attempts = Math.floor(Math.random() * 2 ** 48);

/**
 * Does it while no other program changes the device, or another one of its group.
 *
 * @throws `ERR_BUSY` (facts: address, pid), and what `change` throws; `ERR_KERNEL` where `/run` cannot be written to. `residue` names a
 * claim that could not be removed; where all else went well the process warning `DMA_WINDOW_STILL_CLAIMED` does.
 */
export function whileClaimed<T>(claiming: Claiming, change: () => T): T {
  const { address, group } = claiming;
  const claims: Release[] = [];
  const releaseAll = () => claims.reverse().flatMap((release) => release());
  let done: T;
  try {
    claims.push(claim(claiming, address));
    if (group !== undefined) claims.push(claim(claiming, `group ${group}`));
    done = change();
  } catch (error) {
    throw withResidue(error, releaseAll());
  }
  const left = releaseAll();
  if (left.length > 0) warn("DMA_WINDOW_STILL_CLAIMED", left.join("; "));
  return done;
}

/** Ends a claim. Gives what is left of it. */
type Release = () => string[];

function claim(claiming: Claiming, what: string): Release {
  const { files, own, patience } = claiming;
  const { keep, remove } = files;
  const proc = [files, own].find((one) => typeof one.text("/proc/thread-self/stat") === "string");
  const me = proc && selfIn(proc);
  if (keep === undefined || remove === undefined || proc === undefined || me === undefined) return () => [];
  const end = performance.now() + patience;
  let before: Claimant | undefined;
  for (let tries = 1; ; tries++) {
    const name = `${what}@${me}.${attempts++}`;
    const path = `${DIRECTORY}/${name}`;
    const release = () => removed(() => remove.call(files, path), path);
    let other: Claimant | undefined;
    try {
      const answer = keep.call(files, path, "");
      if (answer === -ERRNO.EACCES || answer === -ERRNO.EPERM) return () => []; // who may not write here may write nothing
      if (answer !== 0) throw cannotKeep(path, answer);
      other = othersIn(files, proc, what, name)[0];
    } catch (error) {
      throw withResidue(error, release());
    }
    if (other === undefined) return release;
    const left = release();
    const isThereStill = before?.name === other.name;
    const isLast = left.length > 0 || ((isThereStill || tries >= TRIES) && performance.now() >= end);
    if (isLast) throw withResidue(busy(claiming, what, other), left);
    before = other;
    sleep(1 + Math.random() * PAUSE);
  }
}

/** What is left of a file; one that is not there any more has been removed. */
function removed(remove: () => number, path: string): string[] {
  let why: string;
  try {
    const answer = remove();
    if (answer === 0 || answer === -ERRNO.ENOENT) return [];
    why = errnoName(answer);
  } catch (error) {
    why = messageOf(error);
  }
  return [
    `${path} could not be removed (${why}): until this thread ends other programs take it for a sign that it is at work`,
  ];
}

/** `process.thread.beginning` of this thread. */
function selfIn(proc: MachineFiles): string | undefined {
  const pid = Number.parseInt(String(proc.text("/proc/self/stat")), 10);
  const thread = statIn(proc.text("/proc/thread-self/stat"));
  return Number.isSafeInteger(pid) && thread !== undefined ? `${pid}.${thread.id}.${thread.began}` : undefined;
}

/** Those whose threads run, or may: only what is known to be left is removed. */
function othersIn(files: MachineFiles, proc: MachineFiles, what: string, own: string): Claimant[] {
  const names = files.names(DIRECTORY);
  if (typeof names === "number") return [];
  const found: Claimant[] = [];
  for (const name of names) {
    const [, of, process, thread, began, unfinished] = NAME.exec(name) ?? [];
    if (of !== what || name === own) continue;
    if (isGone(proc.text(`/proc/${process}/task/${thread}/stat`), began)) files.remove?.(`${DIRECTORY}/${name}`);
    else if (unfinished === undefined) found.push({ name, process: Number(process), thread: Number(thread) });
  }
  return found;
}

/**
 * What /proc says of the thread of that number: there is none, it has ended and nobody asked yet how (`Z`, `X`), or it is another one. That it
 * cannot be read, as where no descriptor is left, says nothing.
 */
function isGone(text: string | number, began: string | undefined): boolean {
  if (typeof text === "number") return text === -ERRNO.ENOENT || text === -ERRNO.ESRCH;
  const found = statIn(text);
  return found !== undefined && (found.began !== began || found.state === "Z" || found.state === "X");
}

/** `tid (name) state ppid ...`; the time of its beginning is the 22nd field. (man 5 proc_pid_stat) */
function statIn(
  text: string | number,
): { readonly id: string; readonly state: string; readonly began: string } | undefined {
  if (typeof text !== "string") return undefined;
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  const [id, state = "", began] = [Number.parseInt(text, 10), fields[0], fields[19]];
  return Number.isSafeInteger(id) && began !== undefined && /^\d+$/.test(began)
    ? { id: `${id}`, state, began }
    : undefined;
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
