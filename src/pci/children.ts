/**
 * What hangs on a device, as sysfs nests it: the disks, network interfaces, terminals and frame buffers in the directories below.
 *
 *     0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p2         a disk of NVMe, and its second partition
 *     0000:02:00.0/ata1/host0/target0:0:0/0:0:0:0/block/sda
 *     0000:03:00.0/virtio1/block/vda
 *     0000:04:00.0/net/eth0
 */
import type { Look } from "./look.ts";

/** A directory below a device. */
export interface Child {
  readonly path: string;
  readonly name: string;
  /** The name of the directory that it is in: for most devices their class. */
  readonly within: string;
  readonly names: readonly string[];
}

/** No device nests deeper: a disk behind USB hubs behind a controller behind VMD. */
const DEPTH_MAX = 24;

/** What every device has, and nothing hangs on. */
const PASSED_OVER: ReadonlySet<string> = new Set(["power", "msi_irqs", "link", "queues", "statistics", "mq", "trace"]);

/** The directories below a device, by depth; links lead elsewhere, and are not followed. Cost: a system call for each file there. */
export function childrenOf(look: Look, path: string, depth = 0): Child[] {
  const within = path.split("/").at(-1) ?? "";
  return (look.names(path) ?? []).flatMap((name) => {
    if (PASSED_OVER.has(name)) return [];
    const at = `${path}/${name}`;
    const names = look.names(at);
    if (names === undefined || look.link(at) !== undefined) return [];
    const below = depth < DEPTH_MAX ? childrenOf(look, at, depth + 1) : [];
    return [{ path: at, name, within, names }, ...below];
  });
}

/** A disk of NVMe; `nvme0c1n1` is one way to the disk `nvme0n1`, which hangs on no device then. */
const NVME = /^nvme\d+(?:c\d+)?n\d+$/;

/** Whether it is a disk or a partition. */
export function isBlock({ name, within, names }: Child): boolean {
  if (within === "block" || NVME.test(name)) return true;
  return names.includes("dev") && ["holders", "partition", "slaves"].some((one) => names.includes(one));
}

export function isInterface({ within }: Child): boolean {
  return within === "net";
}

export function isTerminal({ within }: Child): boolean {
  return within === "tty";
}

export function isFrameBuffer({ within, name }: Child): boolean {
  return within === "graphics" && name.startsWith("fb");
}
