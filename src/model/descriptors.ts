import type { Container } from "./container.ts";
import { EBADF } from "./errno.ts";
import type { Group } from "./group.ts";

/** What a file descriptor leads to. */
export type OpenFile = Container | Group;

/** The file descriptors of the process: the lowest free number each time, after stdin, stdout and stderr. */
export class Descriptors {
  readonly #files = new Map<number, OpenFile>();

  add(file: OpenFile): number {
    let fd = 3;
    while (this.#files.has(fd)) fd++;
    this.#files.set(fd, file);
    return fd;
  }

  get(fd: number): OpenFile | undefined {
    return this.#files.get(fd);
  }

  /** What it led to, or EBADF. */
  remove(fd: number): OpenFile | typeof EBADF {
    const file = this.#files.get(fd);
    this.#files.delete(fd);
    return file ?? EBADF;
  }

  /** By number. */
  get all(): [number, OpenFile][] {
    return [...this.#files].sort(([a], [b]) => a - b);
  }
}
