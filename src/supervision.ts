/**
 * The seam of `exec`: everything that touches the program that is supervised passes through this one interface, which the shim
 * implements (`shim/exec_*.h`). Results are numbers as the kernel gives them, or -errno; nothing throws because the kernel said no.
 */

/** What happened; the layout of an event in memory, host byte order, is `ExecEvent` of `shim/exec_event.h`. */
export const EventKind = {
  /** Nothing in the time that was given. */
  NOTHING: 0,
  /** An ioctl of VFIO on a file that the program was given. */
  IOCTL: 1,
  /** A path that leads to a file of the model's, to the real VFIO's, or that has to be looked at. */
  OPEN: 2,
  /** Memory that is watched is about to be given back, replaced, moved or protected. */
  MEMORY: 3,
  /** A process is about to execute another program. */
  EXEC: 4,
  /** A process that was watched has ended: `detail` is its pidfd. */
  ENDED: 5,
  /** No process is left that has the filter. */
  NOBODY: 6,
  /** A place of a file that the program was given is read, written or mapped: `detail` is which, of {@link Transfer}. */
  TRANSFER: 7,
} as const;

/** How memory is about to change. */
export const MemoryChange = { UNMAP: 0, REPLACE: 1, MOVE: 2, PROTECT: 3, DROP: 4, BREAK: 5, DETACH: 6 } as const;

/** pread and pwrite; preadv and pwritev, whose vector is the event's data; mmap. */
export const Transfer = { READ: 0, WRITE: 1, READ_VECTOR: 2, WRITE_VECTOR: 3, MAP: 4 } as const;

/** Lists that decide what becomes an event: three u64 for each entry, the third one 0 where nothing is said of it. */
export const WatchList = {
  /** Memory: from, and to before. */
  MEMORY: 0,
  /** The same, of heaps that brk moves. */
  HEAPS: 1,
  /** Files that stand for nodes: device and inode. */
  NODES: 2,
  /** Files that the program was given: device, inode, and our own descriptor. */
  FILES: 3,
  /** The real VFIO's: major and minor number, 2^64 - 1 for all minors. */
  REAL: 4,
} as const;

export const EVENT_BYTES = 4200;

export interface Supervision {
  /**
   * Begins a program with the filter: its number, pidfd, the listener, and the pipe and the pidfd of its reaper for {@link execEnd}. Two numbers where it
   * could not be begun: which step failed (1 no_new_privs, 2 the filter, 4 the process itself), and its errno.
   */
  execStart(path: string, argv: readonly string[], envp: readonly string[]): readonly number[];
  /** How the program ended: si_code, si_status, and, where it never became the program, step 3 and the errno of execve. `undefined`: it runs; with `waits`, 1, never. */
  execEnd(pipe: number, reaper: number, waits: number): readonly number[] | undefined;
  execListen(listener: number): void;
  execWatchProcess(pidfd: number): void;
  execWatch(list: number, entries: Uint8Array): void;
  /** Whether paths that lead nowhere become events too: 0 or 1. */
  execJudgeAll(all: number): void;
  /** The next event, in so many milliseconds at most. What is nobody's business is answered meanwhile. */
  execNext(event: Uint8Array, milliseconds: number): number;
  execAnswer(id: bigint, value: number): number;
  execContinue(id: bigint): number;
  /** Gives the program a descriptor as its call's answer: its number there. */
  execGive(id: bigint, fd: number, flags: number): number;
  execIsWaiting(id: bigint): boolean;
  /** Device, inode, and 1 for the real VFIO's node. */
  execLeadsTo(path: string): readonly number[] | number;
  /** How many bytes there were from an address on. */
  execRead(pid: number, address: bigint, into: Uint8Array): number;
  execWrite(pid: number, address: bigint, from: Uint8Array): number;
  /** A descriptor here of a process's eventfd: -EBADF where it has no such descriptor, -EINVAL where it leads to another file. */
  execTakeEventfd(pidfd: number, fd: number): number;
  /** Adds to an eventfd's count, and does not wait where that is full. */
  execSignal(fd: number, count: number): number;
  /** A file in memory: the descriptor to give, the one to keep, device and inode. */
  execFile(size: bigint): readonly number[] | number;
  /** 1 while anybody has what was given of the file that is kept as `fd`. */
  execIsHeld(fd: number): number;
  /** 0 where two threads have one memory. */
  execCompareMemory(one: number, other: number): number;
  /** RLIMIT_MEMLOCK in bytes; 2^64 - 1: none. */
  execLockedLimit(pid: number): bigint;
  execProcessFile(pid: number): number;
  execOwnMounts(): number;
  /** `source` "": memory of its own. */
  execMount(source: string, target: string): number;
}

const names: readonly (keyof Supervision)[] = [
  ...(["execStart", "execEnd", "execListen", "execWatchProcess", "execWatch", "execJudgeAll", "execNext"] as const),
  ...(["execAnswer", "execContinue", "execGive", "execIsWaiting", "execLeadsTo", "execRead", "execWrite"] as const),
  ...([
    "execTakeEventfd",
    "execSignal",
    "execFile",
    "execIsHeld",
    "execCompareMemory",
    "execLockedLimit",
    "execProcessFile",
  ] as const),
  ...(["execOwnMounts", "execMount"] as const),
];

/** Whether an addon has all of it: one that was built with headers of Linux before 5.9 has not. */
export function isSupervision(addon: object): addon is Supervision {
  return names.every((name) => typeof (addon as Record<string, unknown>)[name] === "function");
}
