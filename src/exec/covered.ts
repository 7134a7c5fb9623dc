import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { DmaWindowError, errnoName } from "../errors.ts";
import type { Supervision } from "../supervision.ts";

/**
 * Directories that this process and its programs see otherwise than the machine has them, by mounts that nobody else sees and that go with
 * the last of them. Nothing on the machine is changed.
 *
 *     replaced      /dev/vfio              a file system of memory in its place, empty
 *     covered       /dev                   where there is no /dev/vfio: memory too, in which all that is in /dev is bound, so that
 *                                          something can be added
 */
export class Covered {
  readonly #native: Supervision;
  /** Directories that are in memory, and may be written. */
  readonly #ours: string[] = [];
  /** What of the machine's is bound in them. */
  readonly #bound = new Set<string>();

  constructor(native: Supervision) {
    this.#native = native;
  }

  /** 0, or -errno: EPERM without CAP_SYS_ADMIN. */
  begin(): number {
    return this.#native.execOwnMounts();
  }

  /** An empty directory at a path, whatever the machine has there. */
  replace(path: string): void {
    if (this.#isOurs(path)) mkdirSync(path, { recursive: true });
    else if (existsSync(path)) this.#mount(path);
    else this.extend(path);
  }

  /** A directory at a path that can be written, with all that the machine has there. */
  extend(path: string): void {
    if (this.#isOurs(path)) {
      mkdirSync(path, { recursive: true });
      return;
    }
    if (!existsSync(path)) {
      this.extend(dirname(path));
      mkdirSync(path, { recursive: true });
      return;
    }
    const below = readdirSync(path).map((name) => {
      const kind = lstatSync(join(path, name), { throwIfNoEntry: false });
      return { name, kind, link: kind?.isSymbolicLink() ? readlinkSync(join(path, name)) : undefined };
    });
    // By its path the memory is found as soon as that is mounted, and by a descriptor what was there before.
    const held = openSync(path, "r");
    try {
      this.#mount(path);
      for (const { name, kind, link } of below) {
        const at = join(path, name);
        if (kind === undefined) continue;
        if (link !== undefined) {
          symlinkSync(link, at);
          continue;
        }
        if (kind.isDirectory()) mkdirSync(at);
        else writeFileSync(at, "");
        this.#bind(`/proc/self/fd/${held}/${name}`, at);
      }
    } finally {
      closeSync(held);
    }
  }

  #isOurs(path: string): boolean {
    return this.#ours.some((each) => path === each || path.startsWith(`${each}/`)) && !this.#isBound(path);
  }

  /** Something of the machine's is bound there, or above it. */
  #isBound(path: string): boolean {
    for (let at = path; at !== "/"; at = dirname(at)) {
      if (this.#bound.has(at)) return true;
      if (this.#ours.includes(at)) return false;
    }
    return false;
  }

  #bind(source: string, target: string): void {
    check(`bind ${source} to ${target}`, this.#native.execMount(source, target));
    this.#bound.add(target);
  }

  #mount(path: string): void {
    check(`mount memory on ${path}`, this.#native.execMount("", path));
    this.#ours.push(path);
  }
}

function check(what: string, answer: number): void {
  if (answer >= 0) return;
  throw new DmaWindowError(
    "ERR_EXEC_UNAVAILABLE",
    `the program's view of the machine could not be made: ${what}: ${errnoName(answer)}`,
  );
}

/** A file's device and inode. */
export function identityOf(path: string): readonly [bigint, bigint] {
  const { dev, ino } = statSync(path, { bigint: true });
  return [dev, ino];
}
