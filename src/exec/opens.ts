/** What programs open: which of it is VFIO, and whether it is the model's or the machine's own. */
import { readlinkSync, realpathSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { ERRNO } from "../errno.ts";
import type { Supervision } from "../supervision.ts";
import { fileKey, type ProgramEvent } from "./event.ts";
import type { GivenFiles } from "./given-files.ts";
import type { Programs } from "./programs.ts";
import type { World } from "./world.ts";

/** Of open(2), the same on x86, Arm and POWER but for one. */
const OpenFlag = {
  CREATE: 0o100,
  EXCLUSIVE: 0o200,
  DIRECTORY: process.arch === "x64" ? 0o200000 : 0o40000,
  PATH: 0o10000000,
};
const LINKS_MAX = 40;

/** What a path of the program's leads to. */
type Target =
  | { readonly kind: "model"; readonly path: string }
  /** The machine's own VFIO, by a way that no node of the model's lies on. */
  | { readonly kind: "real" }
  | { readonly kind: "other" };

/** Answers what the program opens, where that may lead to VFIO. All else the kernel opens itself. */
export class Opens {
  readonly #native: Supervision;
  readonly #world: World;
  readonly #files: GivenFiles;
  readonly #programs: Programs;

  constructor(native: Supervision, world: World, files: GivenFiles, programs: Programs) {
    this.#native = native;
    this.#world = world;
    this.#files = files;
    this.#programs = programs;
  }

  answer(event: ProgramEvent): void {
    const { id, detail: flags } = event;
    const target = this.#targetOf(event);
    if (!this.#native.execIsWaiting(id)) return;
    const looksOnly = (flags & (OpenFlag.PATH | OpenFlag.DIRECTORY)) !== 0 || isCreated(flags);
    if (target.kind === "other" || (target.kind === "model" && looksOnly && this.#world.refused === 0)) {
      this.#native.execContinue(id);
    } else if (target.kind === "real") this.#native.execAnswer(id, -ERRNO.ENOENT);
    else if (looksOnly) this.#native.execAnswer(id, isCreated(flags) ? -ERRNO.EEXIST : -ERRNO.ENOTDIR);
    else this.#open(event, target.path);
  }

  #open(event: ProgramEvent, path: string): void {
    const { id, detail: flags } = event;
    const program = this.#programs.of(event.thread);
    const fd = program.calls.open(path);
    if (fd < 0) {
      this.#native.execAnswer(id, fd);
      return;
    }
    const kind = path === "/dev/vfio/vfio" ? "container" : "group";
    const given = this.#files.give({ id, flags }, program, fd, { kind, name: path });
    if (given >= 0) return;
    program.calls.close(fd);
    this.#native.execAnswer(id, given);
  }

  #targetOf(event: ProgramEvent): Target {
    // As the shim found it, by the bytes of its path, which need be no text.
    const found = this.#nodeOf(event.file);
    if (found !== undefined) return { kind: "model", path: found };
    const text = new TextDecoder().decode(event.data);
    const path = this.#absolute(withOwnLinks(text, event.thread), event);
    const leads = this.#native.execLeadsTo(path);
    if (typeof leads === "number") return this.#byPath(path);
    const [device = 0, inode = 0, isReal] = leads;
    const node = this.#nodeOf(fileKey(device, inode));
    if (node !== undefined) return { kind: "model", path: node };
    return isReal === 1 ? this.#realOf(path) : { kind: "other" };
  }

  /** The node that a file stands for. */
  #nodeOf(key: string): string | undefined {
    return this.#world.nodes.get(key) ?? this.#files.find(key)?.name;
  }

  /** The machine has a node there. Where it is not hidden, the program means the model's of that name. */
  #realOf(path: string): Target {
    try {
      const name = realpathSync(path);
      if (this.#world.refused !== 0 && name.startsWith("/dev/vfio/")) return { kind: "model", path: name };
    } catch {
      // It has gone meanwhile.
    }
    return { kind: "real" };
  }

  /** Nothing is there: where nodes are not shown, they are known by their paths, also behind links. */
  #byPath(path: string): Target {
    if (this.#world.refused === 0) return { kind: "other" };
    const at = withoutLinks(path);
    return at !== undefined && /^\/dev\/vfio\/[^/]+$/.test(at) ? { kind: "model", path: at } : { kind: "other" };
  }

  #absolute(path: string, event: ProgramEvent): string {
    if (path.startsWith("/")) return path;
    const directory = event.word(0) | 0;
    // A descriptor where the call has one; the shim leaves the path's place to tell.
    const base =
      event.hasDirectory && directory >= 0 ? `/proc/${event.thread}/fd/${directory}` : `/proc/${event.thread}/cwd`;
    try {
      return `${readlinkSync(base)}/${path}`;
    } catch {
      return `/${path}`;
    }
  }
}

/** A path with all links followed, also where nothing stands at its end; `undefined` where they never end. (`fs/namei.c: link_path_walk`) */
function withoutLinks(path: string): string | undefined {
  let rest = partsOf(path);
  let at = "/";
  for (let links = 0; rest.length > 0; ) {
    const [part = "", ...others] = rest;
    rest = others;
    const next = part === ".." ? dirname(at) : join(at, part);
    const link = part === ".." ? undefined : linkAt(next);
    if (link === undefined) at = next;
    else if (++links > LINKS_MAX) return undefined;
    else {
      if (isAbsolute(link)) at = "/";
      rest = [...partsOf(link), ...rest];
    }
  }
  return at;
}

function partsOf(path: string): string[] {
  return path.split("/").filter((part) => part !== "" && part !== ".");
}

function linkAt(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

function isCreated(flags: number): boolean {
  return (flags & (OpenFlag.CREATE | OpenFlag.EXCLUSIVE)) === (OpenFlag.CREATE | OpenFlag.EXCLUSIVE);
}

/** `/proc/self` is the reader's own, and so is what leads there: for the program's they are put by its number. */
function withOwnLinks(path: string, thread: number): string {
  const own = `/proc/${thread}`;
  return path.replace(/^\/proc\/(self|thread-self)(?=\/|$)/, own).replace(/^\/dev\/fd(?=\/|$)/, `${own}/fd`);
}
