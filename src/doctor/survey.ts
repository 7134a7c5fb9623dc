/**
 * A machine's files, read with care: they may be another machine's, or anybody's. What is no file is not read, and neither is what is
 * larger than anything the kernel writes; control characters do not get through. Nothing throws.
 */
import { ERRNO } from "../errno.ts";
import { Look } from "../pci/look.ts";
import type { FileStatus, MachineFiles } from "../syscalls.ts";

/** The largest that is asked for is a distribution's list of modules, below 2 MiB. Files of procfs say 0. */
const MOST_BYTES = 16 << 20;

/**
 * Control characters but tab and line's end, and those that turn or hide text: what is shown on a terminal is text, whoever wrote it.
 */
const UNSEEN = /(?![\t\n])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

export class Survey extends Look {
  readonly #inner: MachineFiles;

  constructor(files: MachineFiles) {
    super(careful(files));
    this.#inner = files;
  }

  /** The text as it is, with zero bytes: of the device tree, and of tables in binary. */
  raw(path: string): string | undefined {
    const answer = read(this.#inner, path);
    return typeof answer === "string" ? answer : undefined;
  }

  /** What stands at a path; `undefined` where it is not known. */
  statusOf(path: string): FileStatus | undefined {
    const answer = attempt(() => this.#inner.stat?.(path) ?? -ERRNO.ENOSYS);
    return typeof answer === "number" ? undefined : answer;
  }

  /** Whether a directory is there; `undefined` where nobody can say. */
  hasDirectory(path: string): boolean | undefined {
    if (this.names(path) !== undefined) return true;
    return this.lacks(path) ? false : undefined;
  }

  /** The words of a file, by blanks. */
  words(path: string): readonly string[] {
    return (this.text(path) ?? "").split(/\s+/).filter((word) => word !== "");
  }
}

function careful(files: MachineFiles): MachineFiles {
  return {
    text: (path) => seen(read(files, path)),
    names: (path) => {
      const answer = attempt(() => files.names(path));
      return typeof answer === "number" ? answer : Array.isArray(answer) ? answer.map(text) : -ERRNO.EIO;
    },
    link: (path) => seen(attempt(() => files.link(path))),
  };
}

/** A pipe would be waited for, and a device may do anything: only a file is read. */
function read(files: MachineFiles, path: string): string | number {
  const status = attempt(() => files.stat?.(path) ?? 0);
  if (typeof status === "number" && status < 0) return status;
  if (typeof status !== "number" && status.kind !== "file") return -ERRNO.EINVAL;
  if (typeof status !== "number" && status.size > MOST_BYTES) return -ERRNO.EFBIG;
  return attempt(() => files.text(path));
}

function seen(answer: string | number): string | number {
  return typeof answer === "number" ? answer : text(answer);
}

function text(value: unknown): string {
  return String(value).replace(UNSEEN, "");
}

/** A kernel of a program's own may hand over files that throw. */
function attempt<T>(call: () => T): T | number {
  try {
    return call();
  } catch {
    return -ERRNO.EIO;
  }
}
