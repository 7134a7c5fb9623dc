import {
  closeSync,
  constants,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { ERRNO } from "../errno.ts";
import type { MachineFiles } from "../syscalls.ts";

type Writable = MachineFiles & { readonly write: NonNullable<MachineFiles["write"]> };

/** The files of the machine that this program runs on. Reading opens no device; only {@link MachineFiles.write} changes anything. */
export const machineFiles: Writable = filesOf((path) => path);

/**
 * The files of a machine whose root is a directory here: a container's view of its host, or a fixture of a test. What a path or a
 * link in it leads to lies beneath `root` too, or the answer is -EXDEV, as openat2(2) has it with RESOLVE_BENEATH.
 */
export function machineFilesIn(root: string): Writable {
  return root === "/" ? machineFiles : filesOf((path, isLink) => beneath(root, path, isLink));
}

/** `place` says where a path lies, or throws as a system call of Node's does; of a link itself where `isLink`. */
function filesOf(place: (path: string, isLink: boolean) => string): Writable {
  return {
    text: (path) => answered(() => readFileSync(place(path, false), "utf8")),
    names: (path) => answered(() => readdirSync(place(path, false)).sort()),
    link: (path) => answered(() => readlinkSync(place(path, true))),
    write: (path, text) => answered(() => writeOnce(place(path, false), text)),
  };
}

/** The real path of what lies there. ".." and links count as the kernel counts them: the path is not made shorter before. */
function beneath(root: string, path: string, isLink: boolean): string {
  const whole = `${root}/${path}`;
  const top = realpathSync.native(root);
  // A link is not followed, and what it lies in is.
  const real = realpathSync.native(isLink ? dirname(whole) : whole);
  if (real !== top && !real.startsWith(top === "/" ? top : `${top}/`)) {
    throw Object.assign(new Error(`${path} leads out of ${root}`), { errno: -ERRNO.EXDEV });
  }
  return isLink ? `${real}${whole.slice(dirname(whole).length)}` : real;
}

/** One write(2), of a file that is there: sysfs takes each for a whole value. 0, or -EIO where it took a part. */
function writeOnce(path: string, text: string): number {
  const bytes = Buffer.from(text);
  const fd = openSync(path, constants.O_WRONLY);
  try {
    return writeSync(fd, bytes) === bytes.length ? 0 : -ERRNO.EIO;
  } finally {
    closeSync(fd);
  }
}

/** Node throws what the kernel refused, with its errno; what is thrown besides is a caller's mistake. */
function answered<T>(read: () => T): T | number {
  try {
    return read();
  } catch (error) {
    const { errno } = error as { errno?: unknown };
    if (typeof errno === "number" && errno < 0) return errno;
    throw error;
  }
}
