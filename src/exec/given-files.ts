/** Descriptors of programs, and which open file of the model each leads to. */
import { closeSync } from "node:fs";
import type { ModelKernel } from "../model/index.ts";
import { type Supervision, WatchList } from "../supervision.ts";
import type { Syscalls } from "../syscalls.ts";
import { entriesOf, fileKey } from "./event.ts";

/** Whoever has descriptors in the model. */
export interface Holder {
  readonly kernel: ModelKernel;
  /** The same, with a recorder of its calls in front where somebody wants them. */
  readonly calls: Syscalls;
}

/** What a descriptor of a program leads to: an open file of the model. */
export interface GivenFile {
  readonly key: string;
  readonly kind: "container" | "group" | "device";
  /** `/dev/vfio/26`, or a device's address. */
  readonly name: string;
  /** Counts files of its kind, from 0: of containers as the model does. */
  readonly number: number;
  /** Our own descriptor of the file that stands for it. */
  readonly kept: number;
  /** Those that the model knows to have it, and its descriptor there. */
  readonly holders: Map<Holder, number>;
}

/**
 * The files that programs were given. Each is a file in memory, so that dup, fork, exec, sockets and mmap are the kernel's own, and is
 * known by its inode, under whatever number and in whichever process. That nobody has it any more is seen by a lock: see
 * `shim/exec_memory.h`.
 */
export class GivenFiles {
  readonly #native: Supervision;
  readonly #files = new Map<string, GivenFile>();
  readonly #numbers = { container: 0, group: 0, device: 0 };

  constructor(native: Supervision) {
    this.#native = native;
  }

  find(key: string): GivenFile | undefined {
    return this.#files.get(key);
  }

  get all(): readonly GivenFile[] {
    return [...this.#files.values()];
  }

  /**
   * Gives the program that waits a descriptor, for the model's `fd`, as the answer of its call: its number there, or -errno, and then nothing is left of it.
   */
  give(
    waiting: { readonly id: bigint; readonly flags: number },
    program: Holder,
    fd: number,
    file: Pick<GivenFile, "kind" | "name">,
  ): number {
    const { kind, name } = file;
    // The model has counted it, whether or not the program gets it.
    const number = this.#numbers[kind]++;
    const made = this.#native.execFile(0n);
    if (typeof made === "number") return made;
    const [given = -1, kept = -1, device = 0, inode = 0] = made;
    const key = fileKey(device, inode);
    this.#files.set(key, { key, kind, name, number, kept, holders: new Map([[program, fd]]) });
    this.#watch();
    const answer = this.#native.execGive(waiting.id, given, waiting.flags);
    closeSync(given);
    if (answer < 0) this.#drop(key);
    return answer;
  }

  /** Whether anybody has one of them. */
  get areHeld(): boolean {
    return this.all.some(({ kept }) => this.#native.execIsHeld(kept) === 1);
  }

  /** Whether the same device, or node, was given once more, and somebody has that. */
  isOpen({ kind, name }: GivenFile): boolean {
    return this.all.some((file) => file.kind === kind && file.name === name);
  }

  /** The model's descriptor of a file in a process, which may have got it by fork, exec or a socket. */
  fdOf(file: GivenFile, program: Holder): number {
    const known = file.holders.get(program);
    if (known !== undefined) return known;
    const [holder, fd] = [...file.holders][0] ?? [];
    if (holder === undefined || fd === undefined) return -1;
    const received = holder.kernel.send(fd, program.kernel);
    file.holders.set(program, received);
    return received;
  }

  /** Files that nobody has any more are closed in the model, the last given first. */
  settle(): GivenFile[] {
    const closed: GivenFile[] = [];
    for (const file of [...this.all].reverse()) {
      if (this.#native.execIsHeld(file.kept) === 1) continue;
      closed.push(file);
      this.#drop(file.key);
      for (const [program, fd] of file.holders) program.calls.close(fd);
    }
    return closed;
  }

  /** A process ends: what others have of its files is kept by `heir`. */
  passOn(from: Holder, heir: Holder): void {
    for (const file of this.#files.values()) {
      if (!file.holders.has(from)) continue;
      if (file.holders.size === 1) this.fdOf(file, heir);
      file.holders.delete(from);
    }
  }

  #drop(key: string): void {
    const file = this.#files.get(key);
    if (file === undefined) return;
    this.#files.delete(key);
    closeSync(file.kept);
    this.#watch();
  }

  #watch(): void {
    const entries = [...this.#files.values()].map(({ key, kept }) => {
      const [device = 0n, inode = 0n] = key.split(":").map(BigInt);
      return [device, inode, BigInt(kept)] as const;
    });
    this.#native.execWatch(WatchList.FILES, entriesOf(entries));
  }
}
