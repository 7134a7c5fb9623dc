/**
 * Reading what the kernel says in its files. "It is not there" and "it may not be read" are different answers, and a
 * reader that takes the second for the first tells a program that the machine has none of a thing that it has.
 */

import { fileSystem } from "../builtin.ts";
import { ERRNO } from "../errno.ts";
import { argumentTypeError, DmaWindowError, errnoName } from "../errors.ts";
import type { MachineFiles } from "../syscalls.ts";
import { checkPath } from "../validate.ts";

/** Node's error for a system call that failed; `errno` is negative in it. */
type SystemError = Error & { readonly errno: number; readonly code: string; readonly syscall?: string };

export function isSystemError(error: unknown): error is SystemError {
  return error instanceof Error && typeof (error as { errno?: unknown }).errno === "number";
}

/** Whether the path does not exist, which no other failure means. */
export function isAbsent(error: unknown): boolean {
  return isSystemError(error) && error.code === "ENOENT";
}

/** The files of a machine, and not an object of options. */
export function checkFiles(files: unknown): void {
  const { text, names, link } = (files ?? {}) as Partial<Record<keyof MachineFiles, unknown>>;
  if ([text, names, link].every((each) => typeof each === "function")) return;
  throw argumentTypeError("files", "the files of a machine, as kernel.files", files);
}

/**
 * What to throw for a path that could not be read: a DmaWindowError with `code` and the kernel's errno. An error that is
 * not the kernel's (a path with a NUL in it) is passed on as it came.
 */
export function unreadable(code: string, path: string, next: string, error: unknown): unknown {
  if (!isSystemError(error)) return error;
  return new DmaWindowError(code, `cannot read ${path}: ${errnoName(error.errno)}. ${next}`, {
    errno: error.errno,
    ...(error.syscall === undefined ? {} : { syscall: error.syscall }),
    facts: { path },
    cause: error,
  });
}

/** The whole text of one of the kernel's files. `next` is the sentence that says what to do when it cannot be read. */
export function readText(path: string, code: string, next: string): string {
  checkPath("path", path);
  const { readFileSync } = fileSystem();
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw unreadable(code, path, next, error);
  }
}

/** The names in a directory, sorted; `undefined` when it does not exist. @throws `code` with the errno. */
export function listed(files: MachineFiles, path: string, code: string, next: string): readonly string[] | undefined {
  return unlessAbsent("scandir", files.names(path), path, code, next);
}

/** Where a link leads; `undefined` when it does not exist. @throws `code` with the errno. */
export function pointedTo(files: MachineFiles, path: string, code: string, next: string): string | undefined {
  return unlessAbsent("readlink", files.link(path), path, code, next);
}

/** `syscall` is what Node calls it. */
function unlessAbsent<T>(syscall: string, answer: T | number, path: string, code: string, next: string): T | undefined {
  if (typeof answer !== "number") return answer;
  if (answer === -ERRNO.ENOENT) return undefined;
  const about = `cannot read ${path}: ${errnoName(answer)}. ${next}`;
  throw new DmaWindowError(code, about, { errno: answer, syscall, facts: { path } });
}
