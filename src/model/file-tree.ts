/** Files by their paths: links are followed, directories follow from the paths, and what is there may change. */
import { EACCES, EINVAL, EISDIR, ELOOP, ENOENT, ENOTDIR, EROFS } from "./errno.ts";

/** What stands at a path. Where `isThere` says no, nothing does. */
export type Entry = {
  /** A file's text, as it is at that moment. */
  readonly text?: () => string;
  /** Takes a text that is written: 0, or a negative errno. */
  readonly write?: (text: string) => number;
  /** Where a symbolic link leads, as it is written. */
  readonly link?: () => string;
  readonly isThere?: () => boolean;
};

/** A device, a socket: neither read nor written here. */
export const DEVICE: Entry = {};

/** `include/linux/namei.h: MAXSYMLINKS`. */
const LINKS_MAX = 40;

/** Files of programs lie here, and nowhere else. */
const KEPT = "/run/";

export class FileTree {
  readonly #entries: Map<string, Entry>;

  constructor(entries: ReadonlyMap<string, Entry>) {
    this.#entries = new Map(entries);
  }

  /** As {@link MachineFiles} answers. */
  text(path: string): string | number {
    const at = this.#resolved(path, true);
    if (typeof at === "number") return at;
    const entry = this.#at(at);
    if (entry === undefined) return this.#isDirectory(at) ? EISDIR : ENOENT;
    return entry.text?.() ?? (entry.write === undefined ? EINVAL : EACCES);
  }

  names(path: string): readonly string[] | number {
    const at = this.#resolved(path, true);
    if (typeof at === "number") return at;
    if (this.#at(at) !== undefined) return ENOTDIR;
    const names = this.#below(at);
    return names.length === 0 ? ENOENT : names;
  }

  link(path: string): string | number {
    const at = this.#resolved(path, false);
    if (typeof at === "number") return at;
    const entry = this.#at(at);
    if (entry === undefined) return this.#isDirectory(at) ? EINVAL : ENOENT;
    return entry.link?.() ?? EINVAL;
  }

  /** A file that may only be read is not opened for writing, also by root. (`fs/kernfs/file.c: kernfs_fop_open`) */
  write(path: string, text: string): number {
    const at = this.#resolved(path, true);
    if (typeof at === "number") return at;
    const entry = this.#at(at);
    if (entry === undefined) return this.#isDirectory(at) ? EISDIR : ENOENT;
    if (entry.write !== undefined) return entry.write(text);
    return entry.text === undefined ? EINVAL : EACCES;
  }

  keep(path: string, text: string): number {
    if (!path.startsWith(KEPT)) return EROFS;
    this.#entries.set(path, { text: () => text });
    return 0;
  }

  remove(path: string): number {
    if (!path.startsWith(KEPT)) return EROFS;
    return this.#entries.delete(path) ? 0 : ENOENT;
  }

  #at(path: string): Entry | undefined {
    const entry = this.#entries.get(path);
    return entry === undefined || entry.isThere?.() === false ? undefined : entry;
  }

  #isDirectory(path: string): boolean {
    return this.#below(path).length > 0;
  }

  /** The names in a directory, sorted. */
  #below(path: string): string[] {
    const start = path.endsWith("/") ? path : `${path}/`;
    const found = new Set<string>();
    for (const [one, { isThere }] of this.#entries) {
      if (one.startsWith(start) && isThere?.() !== false) found.add(one.slice(start.length).split("/")[0] as string);
    }
    return [...found].sort();
  }

  /** The path without links in it; its last part is followed where `last` says so. (`fs/namei.c: link_path_walk`) */
  #resolved(path: string, last: boolean): string | number {
    let rest = partsOf(path);
    let at: string[] = [];
    for (let links = 0; rest.length > 0; ) {
      const [part = "", ...others] = rest;
      rest = others;
      if (part === "..") {
        at = at.slice(0, -1);
        continue;
      }
      const here = `/${[...at, part].join("/")}`;
      const entry = this.#at(here);
      if (entry?.link !== undefined && (last || rest.length > 0)) {
        if (++links > LINKS_MAX) return ELOOP;
        const target = entry.link();
        if (target.startsWith("/")) at = [];
        rest = [...partsOf(target), ...rest];
        continue;
      }
      if (entry !== undefined && entry.link === undefined && rest.length > 0) return ENOTDIR;
      at = [...at, part];
    }
    return `/${at.join("/")}`;
  }
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}
