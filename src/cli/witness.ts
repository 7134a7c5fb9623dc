/**
 * A witness at the seam: it sees every call that goes to the kernel, reads the same bytes, and keeps its own account of
 * which IOVAs are live. It knows nothing of the library's tables, and works with every kernel and IOMMU.
 *
 *     library --> witness --> kernel
 *                    |
 *             live pages, windows made, live pages lost while they were in use
 *
 * It knows the containers and groups that were opened through it.
 */
import { ERRNO } from "../errno.ts";
import { BATCH_ENTRY_BYTES, type Syscalls, VfioCall } from "../syscalls.ts";
import { StructView } from "./account.ts";
import { pageOf, type Tally } from "./live-pages.ts";
import { WatchedFiles } from "./watched-files.ts";

export class Witness {
  /** What the library is given instead of the kernel. */
  readonly kernel: Syscalls;
  readonly inner: Syscalls;
  readonly #tally: Tally = { interrupted: 0, windowsMade: 0 };
  readonly #files = new WatchedFiles(this.#tally);

  constructor(inner: Syscalls) {
    this.inner = inner;
    this.kernel = {
      name: inner.name,
      inner,
      pageSize: inner.pageSize,
      files: inner.files,
      open: (path) => {
        const fd = inner.open(path);
        if (fd >= 0) this.#files.opened(path, fd);
        return fd;
      },
      close: (fd) => {
        const result = inner.close(fd);
        // Whatever else Linux answers, the descriptor is closed (`fs/open.c: close`).
        if (result !== -ERRNO.EBADF) this.#files.closed(fd);
        return result;
      },
      ioctl: (fd, call, argument) => {
        const result = inner.ioctl(fd, call, argument);
        if (result === 0 && call === VfioCall.SET_IOMMU) this.#files.gotIommu(fd, argument);
        if (result === 0 && call === VfioCall.GROUP_UNSET_CONTAINER) this.#files.left(fd);
        return result;
      },
      ioctlStruct: (fd, call, memory, offset) => {
        const saw = this.#looksAt(fd, call, viewOf(memory), offset);
        const result = inner.ioctlStruct(fd, call, memory, offset);
        saw(result);
        return result;
      },
      ioctlBatch: (fd, memory, table, count) => {
        const view = viewOf(memory);
        const saw = Array.from({ length: count }, (_, i) => {
          const entry = table + i * BATCH_ENTRY_BYTES;
          return this.#looksAt(fd, view.getUint32(entry, true), view, view.getUint32(entry + 4, true));
        });
        const done = inner.ioctlBatch(fd, memory, table, count);
        for (const [i, sawOne] of saw.slice(0, done + 1).entries()) {
          sawOne(view.getInt32(table + i * BATCH_ENTRY_BYTES + 8, true));
        }
        return done;
      },
      mmap: (...parameters) => inner.mmap(...parameters),
      munmap: (address, length) => inner.munmap(address, length),
      bindNode: inner.bindNode && ((...parameters) => inner.bindNode?.(...parameters) ?? 0),
      view: (address, length) => inner.view(address, length),
      unview: (view) => inner.unview(view),
      populate: inner.populate && ((address, length) => inner.populate?.(address, length) ?? 0),
      read: inner.read && ((address, into) => inner.read?.(address, into)),
      write: inner.write && ((address, from) => inner.write?.(address, from)),
      lockedMemory: () => inner.lockedMemory(),
      physicalAddresses: (...parameters) => inner.physicalAddresses(...parameters),
    };
  }

  /**
   * How often an IOVA that the program was using went away under it, in pages of 4 KiB: by an UNMAP, with a window, with
   * the last descriptor of a group. Exact, but for one case, in which it is an upper bound: a MAP of sPAPR that fails over
   * live pages takes those along that it came to, and does not say how many; all of its range counts then.
   */
  get interrupted(): number {
    return this.#tally.interrupted;
  }

  /** Windows that were made. There are none but on sPAPR. */
  get windowsMade(): number {
    return this.#tally.windowsMade;
  }

  /** Windows after the first one: how often a window was replaced by another. */
  get resizes(): number {
    return Math.max(0, this.windowsMade - 1);
  }

  /** Pages of 4 KiB that are live now. A lower bound in the case in which `interrupted` is an upper one. */
  get livePages(): number {
    let sum = 0;
    for (const { pages } of this.#files.accounts) sum += pages.size;
    return sum;
  }

  /** The program gives these IOVAs up, of every container: that they go is no interruption. */
  lettingGo(iova: bigint, length: bigint): void {
    for (const { pages } of this.#files.accounts) pages.letGo(pageOf(iova), pageOf(iova + length));
  }

  /** The program gives everything up. */
  lettingGoOfAll(): void {
    for (const { pages } of this.#files.accounts) pages.letGo(0, Number.POSITIVE_INFINITY);
  }

  /** Looks at a call before it is made; gives what is to be told of its answer. */
  #looksAt(fd: number, call: number, memory: DataView, offset: number): (result: number) => void {
    const struct = new StructView(memory, offset);
    const account = this.#files.accountOf(fd);
    if (account !== undefined) {
      const asked = account.asked(call, struct);
      return (result) => account.saw(call, result, struct, asked);
    }
    return (result) => {
      if (call === VfioCall.GROUP_SET_CONTAINER && result === 0) this.#files.joined(fd, struct.i32(0));
      if (call === VfioCall.GROUP_GET_DEVICE_FD && result >= 0) this.#files.openedDevice(fd, result);
    };
  }
}

function viewOf(memory: Uint8Array): DataView {
  return new DataView(memory.buffer, memory.byteOffset, memory.byteLength);
}
