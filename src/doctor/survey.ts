/**
 * A machine's files, read with care: they may be another machine's, or anybody's. Control characters do not get through, and nothing
 * throws. (`machineFiles` reads no pipe, no device, and nothing larger than what the kernel writes.)
 */
import { ERRNO } from "../errno.ts";
import { Look } from "../pci/look.ts";
import type { FileStatus, MachineFiles } from "../syscalls.ts";

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
    const answer = attempt(() => this.#inner.text(path));
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
    text: (path) => seen(attempt(() => files.text(path))),
    names: (path) => {
      const answer = attempt(() => files.names(path));
      return typeof answer === "number" ? answer : Array.isArray(answer) ? answer.map(text) : -ERRNO.EIO;
    },
    link: (path) => seen(attempt(() => files.link(path))),
  };
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
