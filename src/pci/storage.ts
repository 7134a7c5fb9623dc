/** Who uses a disk: mounts, swap, what is built on top of it (LVM, encryption, RAID), and programs that have it open. */
import { type Child, isBlock } from "./children.ts";
import type { Look } from "./look.ts";
import { openerWords } from "./openers.ts";

/** A disk, a partition, or what is built of them. */
interface Block {
  readonly name: string;
  /** Its directory in sysfs. */
  readonly path: string;
  /** `259:1`; `undefined` for what cannot be opened. */
  readonly dev: string | undefined;
  /** `/dev/nvme0n1p1`, and what it is called besides. */
  readonly files: readonly string[];
}

/** How many layers are built on each other, at most. */
const LAYERS_MAX = 16;

/** A sentence for each use of a disk among what hangs on a device. */
export function storageUses(look: Look, children: readonly Child[]): string[] {
  const blocks = children.filter(isBlock).flatMap((child) => [block(look, child.path), ...headOf(look, child.name)]);
  const uses = blocks.flatMap((one) => usesOf(look, one, one.files[0] ?? one.name, 0));
  return [...new Set([...uses, ...(blocks.length > 0 ? poolsOfZfs(look) : [])])];
}

/** What several ways lead to stands beside them: `nvme0n1` for `nvme0c1n1` (`drivers/nvme/host/multipath.c`). */
function headOf(look: Look, name: string): Block[] {
  const [, controller, namespace] = /^nvme(\d+)c\d+n(\d+)$/.exec(name) ?? [];
  if (controller === undefined) return [];
  const head = `nvme${controller}n${namespace}`;
  const path = `/sys/class/block/${head}`;
  const parts = look.names(path)?.filter((one) => one.startsWith(`${head}p`)) ?? [];
  return [path, ...parts.map((part) => `${path}/${part}`)].map((at) => block(look, at));
}

/** A "/" in a name is a "!" in sysfs. */
function block(look: Look, path: string): Block {
  const name = path.split("/").at(-1) ?? "";
  const files = [`/dev/${name.replaceAll("!", "/")}`];
  const mapped = look.text(`${path}/dm/name`)?.trim();
  if (mapped) files.push(`/dev/mapper/${mapped}`);
  return { name, path, dev: look.text(`${path}/dev`)?.trim(), files };
}

/** `who` is the block as the sentences begin. */
function usesOf(look: Look, one: Block, who: string, layer: number): string[] {
  const holders = layer < LAYERS_MAX ? (look.names(`${one.path}/holders`) ?? []) : [];
  const above = holders.flatMap((holder) => {
    const held = block(look, `${one.path}/holders/${holder}`);
    const what = whatIs(look, held);
    return [`${who} is part of ${what}`, ...usesOf(look, held, `${what} on ${who}`, layer + 1)];
  });
  const idle = arraysOf(look, one).filter((array) => !holders.includes(array));
  const openers = one.files.flatMap((file) => look.openers.of(file));
  return [
    ...mountsOf(look, one).map((place) => `${who} is mounted at ${place}`),
    ...(isSwap(look, one) ? [`${who} is swap`] : []),
    ...above,
    ...idle.map((array) => `${who} is part of the RAID ${array}`),
    ...openers.map((opener) => `${openerWords(opener)} has ${who} open`),
  ];
}

/** A holder in words: device mapper says in the UUID what it is for (`LVM-...`, `CRYPT-LUKS2-...`, `mpath-...`). */
function whatIs(look: Look, { name, path, files }: Block): string {
  if (/^md/.test(name)) return `the RAID ${name}`;
  const uuid = look.text(`${path}/dm/uuid`) ?? "";
  const kind = Object.entries(MAPPED).find(([prefix]) => uuid.startsWith(prefix))?.[1] ?? "the device";
  return `${kind} ${files[1]?.slice("/dev/mapper/".length) ?? name}`;
}

const MAPPED: Readonly<Record<string, string>> = {
  "LVM-": "the LVM volume",
  "CRYPT-": "the encrypted device",
  "mpath-": "the multipath device",
  "DMRAID-": "the RAID",
};

/**
 * Where a block is mounted: by its number, or by its name where the file system has numbers of its own (btrfs). What the first
 * process sees counts too, which may be more. (`fs/proc_namespace.c: show_mountinfo`)
 *
 *     36 35 259:1 / /home rw,noatime shared:1 - ext4 /dev/nvme0n1p1 rw
 */
function mountsOf(look: Look, { dev, files }: Block): string[] {
  const lines = ["self", "1"].flatMap((process) => look.text(`/proc/${process}/mountinfo`)?.split("\n") ?? []);
  const places = lines.flatMap((line) => {
    const [before = "", after = ""] = line.split(" - ");
    const [, , number, , place] = before.split(" ");
    const source = plain(after.split(" ")[1] ?? "");
    return place !== undefined && (number === dev || files.includes(source)) ? [plain(place)] : [];
  });
  return [...new Set(places)];
}

/** Blanks and backslashes are written in octal: `\040` (`fs/seq_file.c: mangle_path`). */
function plain(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** The first word of a line; a file that is swap lies in a file system that is mounted. (`mm/swapfile.c: swap_show`) */
function isSwap(look: Look, { files }: Block): boolean {
  const lines = look.text("/proc/swaps")?.split("\n").slice(1) ?? [];
  return lines.some((line) => files.includes(plain(line.split(/\s+/)[0] ?? "")));
}

/**
 * Arrays of `md` that a block is part of, also those that do not run and hold nothing (`drivers/md/md.c: md_seq_show`).
 *
 *     md0 : active raid1 sdb1[1] sda1[0](F)
 */
function arraysOf(look: Look, { name }: Block): string[] {
  return (look.text("/proc/mdstat") ?? "").split("\n").flatMap((line) => {
    const [, array, parts = ""] = /^(md\S*) : (.*)$/.exec(line) ?? [];
    const isPart = parts.split(/\s+/).some((part) => /^(.+?)\[\d+\]/.exec(part)?.[1] === name);
    return array !== undefined && isPart ? [array] : [];
  });
}

/** Pools of ZFS: it does not tell the kernel which disks are in them, so any disk may be. */
function poolsOfZfs(look: Look): string[] {
  const directory = "/proc/spl/kstat/zfs";
  const pools = look.names(directory)?.filter((name) => look.text(`${directory}/${name}/state`) !== undefined) ?? [];
  return pools.map((pool) => `the ZFS pool ${pool} is imported, and may have a disk of this device in it`);
}
