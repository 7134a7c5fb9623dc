import { spawnSync } from "node:child_process";

/** How a file is mmapped. */
export type Protection = "r" | "rw" | "rwx";
export type Sharing = "shared" | "private";

/**
 * Calls on a device's descriptor that the seam does not have, since no program should make them. Answers are the kernel's: a number, or
 * -errno.
 */
export interface RawCalls {
  /** ioctl(2) by its distance from VFIO_BASE, with a number for its argument: 0 is a pointer that leads nowhere. */
  ioctl(fd: number, distance: number, argument: number): number;
  /** pread(2) into NULL. */
  readNowhere?(fd: number, offset: bigint, bytes: number): number;
  /** mmap(2), and munmap(2) of what was mapped. */
  mmap?(fd: number, offset: bigint, bytes: number, protection: Protection, sharing: Sharing): number;
}

/** By a program of its own for each (`raw.cc`), which has the descriptor. */
export function rawCallsBy(program: string): RawCalls {
  const ask = (fd: number, ...words: readonly (string | number | bigint)[]) => {
    const stdio = ["ignore", "pipe", "inherit", fd] as const;
    const { status, signal, stdout, error } = spawnSync(program, words.map(String), {
      stdio: [...stdio],
      encoding: "utf8",
    });
    if (status !== 0)
      throw new Error(`${program} ${words.join(" ")}: ${error?.message ?? signal ?? `exit code ${status}`}`);
    return Number(stdout);
  };
  return {
    ioctl: (fd, distance, argument) => ask(fd, "ioctl", distance, argument),
    readNowhere: (fd, offset, bytes) => ask(fd, "pread", offset, bytes),
    mmap: (fd, offset, bytes, protection, sharing) => ask(fd, "mmap", offset, bytes, protection, sharing),
  };
}
