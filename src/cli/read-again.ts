/** Files that a command reads more than once. What gives its bytes only once, as a pipe does, is kept in a file without a name. */
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DmaWindowError } from "../errors.ts";
import { PLAN_LENGTH_MAX } from "../plan/parse-plan.ts";
import { readWaiting } from "./read-waiting.ts";

/** The first line of a trace is shorter; a plan that has no newline in so much is no trace. */
export const BEGINNING_BYTES = 1 << 16;

/** Of what is no trace no more is kept than shows that it is too long for a plan. */
const KEPT_MAX = PLAN_LENGTH_MAX + 1;

const CHUNK_BYTES = 1 << 18;

/** The names that Linux has for stdin. Where that is a socket none of them can be opened. */
const STDIN = ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

/** Whether a file that begins so is a trace. */
export function beginsAsTrace(beginning: string): boolean {
  const [first = ""] = beginning.split("\n");
  return /^\s*\{\s*"trace"\s*:/.test(first);
}

/**
 * Gives `use` a path that can be opened again and again and has what `file` has, and what to call it; `-` is stdin. An ordinary file is
 * opened itself, each time.
 *
 * @throws `ERR_FILE_UNREADABLE`; `ERR_FILE_UNWRITABLE` where there is no room for what a pipe brings; what `use` throws.
 */
export function withRereadable<T>(file: string, use: (path: string, name: string) => T): T {
  const [path, name] = file === "-" ? ["/dev/stdin", "stdin"] : [file, file];
  if (!givesOnce(path)) return use(path, name);
  const kept = keeping(name, openNameless);
  try {
    keep(path, name, kept);
    return use(`/proc/self/fd/${kept}`, name);
  } finally {
    closeSync(kept);
  }
}

/** What is not there, and a directory, is left to whoever opens it. */
function givesOnce(path: string): boolean {
  try {
    const what = statSync(path);
    return !what.isFile() && !what.isDirectory();
  } catch {
    return false;
  }
}

/** It goes with the process, however that ends. */
function openNameless(): number {
  const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
  try {
    return openSync(join(directory, "kept"), "wx+", 0o600);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function keep(path: string, name: string, kept: number): void {
  const source = STDIN.includes(path) ? 0 : reading(name, () => openSync(path, "r"));
  try {
    const chunk = Buffer.alloc(CHUNK_BYTES);
    let [beginning, size] = ["", 0];
    for (let isTrace = false; isTrace || size < KEPT_MAX; ) {
      const length = reading(name, () => readWaiting(source, chunk));
      if (length === 0) break;
      // A call may write a part.
      for (let done = 0; done < length; ) done += keeping(name, () => writeSync(kept, chunk, done, length - done));
      size += length;
      if (beginning.length >= BEGINNING_BYTES || beginning.includes("\n")) continue;
      beginning += chunk.toString("latin1", 0, length);
      isTrace = beginsAsTrace(beginning);
    }
  } finally {
    if (source !== 0) closeSync(source);
  }
}

function reading<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new DmaWindowError("ERR_FILE_UNREADABLE", `${name} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

function keeping<T>(name: string, write: () => T): T {
  try {
    return write();
  } catch (cause) {
    const problem = `what ${name} gives cannot be kept in ${tmpdir()}, to be read again: ${messageOf(cause)}`;
    throw new DmaWindowError("ERR_FILE_UNWRITABLE", `${problem}. Write it to a file, and name that`, { cause });
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
