import { EBADF } from "./errno.ts";
import type { FileTable, OpenFile } from "./open-file.ts";

/** The file descriptors of a process: the lowest free number each time, after stdin, stdout and stderr. */
export class Descriptors implements FileTable {
  readonly #files = new Map<number, OpenFile>();

  add(file: OpenFile): number {
    let fd = 3;
    while (this.#files.has(fd)) fd++;
    this.#files.set(fd, file);
    file.hold();
    return fd;
  }

  get(fd: number): OpenFile | undefined {
    return this.#files.get(fd);
  }

  /** 0, or EBADF. */
  close(fd: number): number {
    const file = this.#files.get(fd);
    if (file === undefined) return EBADF;
    this.#files.delete(fd);
    file.release();
    return 0;
  }

  /** As a child gets them: the same numbers, leading to the same files. */
  copyTo(child: Descriptors): void {
    for (const [fd, file] of this.#files) {
      child.#files.set(fd, file);
      file.hold();
    }
  }

  /** By number. */
  get all(): [number, OpenFile][] {
    return [...this.#files].sort(([a], [b]) => a - b);
  }
}
