/** One piece of a process's memory, as `/proc/PID/maps` and `/proc/PID/smaps` tell it. */
export interface MemoryArea {
  readonly start: bigint;
  readonly end: bigint;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  /** Where in its file `start` lies. */
  readonly offset: bigint;
  /** Bytes: the CPU's page, or a hugepage; 4096 in a text of `maps`, which does not say. */
  readonly pageSize: number;
  /** Device and inode of the file behind it, as the kernel writes them; `undefined` where there is none. */
  readonly file: string | undefined;
  /** What is behind it: a file, `[heap]`, nothing. */
  readonly name: string;
}

/**
 * The areas in a text of `maps` or `smaps`, by address.
 *
 *     7f1c40000000-7f1c40200000 rw-s 00000000 00:2f 1234    /dev/hugepages/rtemap_0
 *     Size:               2048 kB
 *     KernelPageSize:     2048 kB
 *
 * (`fs/proc/task_mmu.c: show_map_vma, show_smap`)
 */
export function areasIn(text: string): MemoryArea[] {
  const areas: MemoryArea[] = [];
  const head = /^([0-9a-f]+)-([0-9a-f]+) ([r-])([w-])([x-])[sp] ([0-9a-f]+) (\S+ \d+) *(.*)$/gm;
  for (let found = head.exec(text); found !== null; ) {
    const next = head.exec(text);
    const about = text.slice(found.index, next?.index);
    const kilobytes = /^KernelPageSize: *(\d+) kB$/m.exec(about)?.[1] ?? "4";
    const [, start = "0", end = "0", read, write, execute, offset = "0", file, name = ""] = found;
    areas.push({
      start: BigInt(`0x${start}`),
      end: BigInt(`0x${end}`),
      read: read === "r",
      write: write === "w",
      execute: execute === "x",
      offset: BigInt(`0x${offset}`),
      pageSize: Number(kilobytes) * 1024,
      file: file === "00:00 0" ? undefined : file,
      name,
    });
    found = next;
  }
  return areas;
}

/** The index of the area that an address lies in, or -1. `areas` are by address. */
export function indexOfArea(areas: readonly MemoryArea[], address: bigint): number {
  let [low, high] = [0, areas.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((areas[middle] as MemoryArea).end <= address) low = middle + 1;
    else high = middle;
  }
  const area = areas[low];
  return area !== undefined && area.start <= address ? low : -1;
}

/** The path of what is behind an area, in a text that was read byte for byte. (`fs/seq_file.c: seq_file_path`: a line's end is `\\012`) */
export function pathOf({ name }: MemoryArea): string {
  return Buffer.from(name, "latin1").toString("utf8").replaceAll("\\012", "\n");
}

/** The part of [start, end) that none of `taken`, which are by address, covers. */
export function uncovered(
  start: bigint,
  end: bigint,
  taken: readonly { readonly start: bigint; readonly end: bigint }[],
): { readonly start: bigint; readonly end: bigint }[] {
  const pieces: { start: bigint; end: bigint }[] = [];
  let at = start;
  for (const one of taken) {
    if (one.end <= at) continue;
    if (one.start >= end) break;
    if (one.start > at) pieces.push({ start: at, end: one.start });
    at = one.end;
  }
  if (at < end) pieces.push({ start: at, end });
  return pieces;
}
