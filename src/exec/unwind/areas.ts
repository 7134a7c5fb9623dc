/** A piece of a process's memory that is code, or that a file begins in. */
export interface MappedArea {
  readonly start: bigint;
  readonly end: bigint;
  readonly isCode: boolean;
  /** Where in its file it begins. */
  readonly offset: bigint;
  /** Device and inode; of what the kernel puts there its name. `undefined`: there is no file behind it. */
  readonly file: string | undefined;
  /** The file's path when it was mapped, as the kernel writes it. */
  readonly name: string;
}

/** The areas in a text of `/proc/PID/maps`, by address. (`fs/proc/task_mmu.c: show_map_vma`) */
export function mappedAreas(text: string): MappedArea[] {
  const line = /^([0-9a-f]+)-([0-9a-f]+) ..(.). ([0-9a-f]+) (\S+ \d+) *(.*)$/gm;
  const areas: MappedArea[] = [];
  for (const [, start = "", end = "", execute, offset = "", inode = "", name = ""] of text.matchAll(line)) {
    const file = name === "[vdso]" ? name : inode === "00:00 0" ? undefined : inode;
    const isCode = execute === "x";
    if (!isCode && (file === undefined || /[1-9a-f]/.test(offset))) continue;
    areas.push({
      start: BigInt(`0x${start}`),
      end: BigInt(`0x${end}`),
      isCode,
      offset: BigInt(`0x${offset}`),
      file,
      name,
    });
  }
  return areas;
}

/** The index of the area that an address lies in, or -1. */
export function areaAt(areas: readonly MappedArea[], address: bigint): number {
  let [low, high] = [0, areas.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((areas[middle] as MappedArea).end <= address) low = middle + 1;
    else high = middle;
  }
  const area = areas[low];
  return area !== undefined && area.start <= address ? low : -1;
}

export function isCodeAt(areas: readonly MappedArea[], address: bigint): boolean {
  return areas[areaAt(areas, address)]?.isCode === true;
}
