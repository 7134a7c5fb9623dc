import { readOrdinary } from "../bounded-file.ts";
import { fileSystem } from "../builtin.ts";
import { ERRNO } from "../errno.ts";
import type { FileStatus, MachineFiles } from "../syscalls.ts";
import { dirname } from "./paths.ts";

/** More than the kernel writes, but for lists of a process's memory that nobody asks for; a distribution's list of modules has 2 MiB. */
const MOST_BYTES = 16 << 20;

/**
 * The files of the machine that this program runs on, or of another one's below a directory. Sysfs and procfs only answer; nothing here
 * opens a device, waits for a pipe, or reads a file of any size.
 */
export const machineFiles: MachineFiles = {
  text: (path) => answered(() => readOrdinary(path, MOST_BYTES)),
  names: (path) => answered(() => fileSystem().readdirSync(path).sort()),
  link: (path) => answered(() => fileSystem().readlinkSync(path)),
  write: (path, text) => answered(() => writeWhole(path, text)),
  keep: (path, text) => answered(() => keepWhole(path, text)),
  remove: (path) => answered(() => removed(path)),
  stat: (path) => answered(() => statusOf(path)),
};

/** One write(2): sysfs takes each as a whole text. A file that is not there is not made, and an ordinary one loses what it held. */
function writeWhole(path: string, text: string): number {
  const { closeSync, constants, openSync, writeSync } = fileSystem();
  const bytes = new TextEncoder().encode(text);
  const fd = openSync(path, constants.O_WRONLY | constants.O_TRUNC | constants.O_NONBLOCK); // a pipe that nobody reads is ENXIO
  try {
    return writeSync(fd, bytes) === bytes.length ? 0 : -ERRNO.EIO;
  } finally {
    closeSync(fd);
  }
}

/** Under another name first: whoever is killed in the middle leaves the old text, or none. */
function keepWhole(path: string, text: string): number {
  const { mkdirSync, renameSync, rmSync, writeFileSync } = fileSystem();
  const unfinished = `${path}.${process.pid}`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  try {
    rmSync(unfinished, { force: true });
    writeFileSync(unfinished, text, { mode: 0o644, flag: "wx" });
    renameSync(unfinished, path);
    return 0;
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw error;
  }
}

function removed(path: string): number {
  fileSystem().unlinkSync(path);
  return 0;
}

function statusOf(path: string): FileStatus {
  const found = fileSystem().statSync(path);
  const { mode, uid, gid, size } = found;
  const isDevice = found.isCharacterDevice() || found.isBlockDevice();
  const kind = found.isFile() ? "file" : found.isDirectory() ? "directory" : isDevice ? "device" : "other";
  const common = { kind, mode: mode & 0o7777, uid, gid, size } as const;
  return isDevice ? { ...common, device: numbersOf(found.rdev) } : common;
}

/** Major and minor, as glibc and musl keep them (`gnu_dev_major`): 12 and 20 bits for all that Linux has, in 64. */
function numbersOf(rdev: number): readonly [number, number] {
  const all = BigInt(rdev);
  const major = ((all >> 8n) & 0xfffn) | ((all >> 32n) & 0xffff_f000n);
  const minor = (all & 0xffn) | ((all >> 12n) & 0xffff_ff00n);
  return [Number(major), Number(minor)];
}

/**
 * Node throws what the kernel refused, with its errno. What its permission model refuses it throws without one: no more can be read
 * than where the kernel says EACCES. What is thrown besides is a caller's mistake.
 */
function answered<T>(call: () => T): T | number {
  try {
    return call();
  } catch (error) {
    const { errno, code } = error as { errno?: unknown; code?: unknown };
    if (typeof errno === "number" && errno < 0) return errno;
    if (code === "ERR_ACCESS_DENIED") return -ERRNO.EACCES;
    throw error;
  }
}
