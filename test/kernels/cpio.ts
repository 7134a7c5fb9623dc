/**
 * Archives as the kernel unpacks them into its first root: cpio in the form "newc"
 * (`Documentation/driver-api/early-userspace/buffer-format.rst`, read by `init/initramfs.c`).
 *
 *     "070701"  13 numbers of 8 hex digits  name NUL  pad to 4  content  pad to 4     for each entry
 *     ... "TRAILER!!!"                                          pad to 512
 *
 * Archives may follow each other, and the last of them may be compressed.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";

/** What an entry is, in the bits of `<sys/stat.h>` that hold a file's kind. */
const Kind = { DIRECTORY: 0o040000, FILE: 0o100000, LINK: 0o120000 } as const;

export interface Entry {
  /** Within the root, without a slash in front: `bin/busybox`. */
  readonly path: string;
  readonly kind: "directory" | "file" | "link";
  /** Permission bits. Directories and programs 0o755, others 0o644, unless said. */
  readonly mode?: number;
  /** A file's bytes, or where a link leads. */
  readonly content?: Uint8Array | string;
}

export const directory = (path: string): Entry => ({ path, kind: "directory" });
export const file = (path: string, content: Uint8Array | string, mode = 0o644): Entry => ({
  path,
  kind: "file",
  content,
  mode,
});
export const program = (path: string, content: Uint8Array | string): Entry => file(path, content, 0o755);
export const link = (path: string, to: string): Entry => ({ path, kind: "link", content: to });

/** The archive of these entries. Directories above an entry that are not among them are added: the kernel makes none. */
export function cpio(entries: readonly Entry[]): Buffer {
  const parts: Buffer[] = [];
  let number = 0;
  for (const entry of withDirectories(entries)) parts.push(...record(++number, entry));
  parts.push(...record(0, { path: "TRAILER!!!", kind: "file", mode: 0 }, 0));
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  parts.push(Buffer.alloc(-length & 511));
  return Buffer.concat(parts);
}

/** The entries of a directory of this machine, links as links, under `path` of the root. `keep` says which. */
export function entriesIn(
  directoryOnHost: string,
  path: string,
  keep: (path: string) => boolean = () => true,
): Entry[] {
  return readdirSync(directoryOnHost, { withFileTypes: true }).flatMap((found): Entry[] => {
    const [from, to] = [join(directoryOnHost, found.name), path === "" ? found.name : `${path}/${found.name}`];
    if (!keep(to)) return [];
    if (found.isDirectory()) return [directory(to), ...entriesIn(from, to, keep)];
    if (found.isSymbolicLink()) return [link(to, readlinkSync(from))];
    return [file(to, readFileSync(from), statSync(from).mode & 0o777)];
  });
}

function withDirectories(entries: readonly Entry[]): Entry[] {
  const all = new Map<string, Entry>();
  for (const entry of entries) {
    const above = entry.path.split("/");
    for (let depth = 1; depth < above.length; depth++) {
      const path = above.slice(0, depth).join("/");
      if (!all.has(path)) all.set(path, directory(path));
    }
    all.set(entry.path, entry);
  }
  return [...all.values()];
}

function record(number: number, { path, kind, mode, content = "" }: Entry, kindBits?: number): Buffer[] {
  const bytes =
    typeof content === "string"
      ? Buffer.from(content)
      : Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  const name = Buffer.from(`${path}\0`);
  const bits = kindBits ?? Kind[kind.toUpperCase() as keyof typeof Kind];
  const permissions = mode ?? (kind === "file" ? 0o644 : 0o755);
  const links = kind === "directory" ? 2 : 1;
  //              ino     mode                uid gid       mtime          dev  rdev                    check
  const fields = [number, bits | permissions, 0, 0, links, 0, bytes.length, 0, 0, 0, 0, name.length, 0];
  const head = Buffer.from(`070701${fields.map((field) => field.toString(16).padStart(8, "0")).join("")}`);
  return [head, name, padding(head.length + name.length), bytes, padding(bytes.length)];
}

function padding(length: number): Buffer {
  return Buffer.alloc(-length & 3);
}
