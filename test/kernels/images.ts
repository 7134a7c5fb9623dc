/**
 * What a guest boots: its kernel, and its first root as archives one behind the other.
 *
 *     | /init, busybox, modules | the program, core.wasm, the shim | Node and its libraries, compressed |
 *       by kernel, kept           anew every time                    by architecture, kept
 *
 * PowerNV's firmware takes 128 MiB at most, so Node is compressed; what comes first must not be.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { Apt } from "./apt.ts";
import type { Boot } from "./boots.ts";
import { cpio, directory, type Entry, entriesIn, file, link, program } from "./cpio.ts";
import type { Architecture, Guest } from "./guests.ts";
import { shimFor } from "./shim.ts";
import { output, unpack } from "./unpack.ts";

export interface Images {
  /** Path of the kernel. */
  readonly kernel: string;
  /** Path of the archives. */
  readonly initrd: string;
}

/** Bundles by the name that the guest knows them by. The core's place is a neighbour of theirs: see `src/core.ts`. */
export type Programs = Readonly<Record<"guest" | "conformance" | "hardware", Uint8Array>>;

/** Of Node's packages: what a program that has no network and one language does not load. */
const unused = /\/(gconv|audit|ossl-modules|engines-3|corepack|@types)$/;

export class Workshop {
  readonly #cache: string;
  readonly #root: string;
  readonly #say: (line: string) => void;
  readonly #apts = new Map<string, Apt>();

  /** `root`: this package, with its core built. */
  constructor(cache: string, root: string, say: (line: string) => void) {
    this.#cache = cache;
    this.#root = root;
    this.#say = say;
  }

  /** Everything that the guests need and that lasts: fetched, unpacked and compiled. */
  async prepare(guests: readonly Guest[]): Promise<void> {
    for (const { architecture, kernel } of guests) {
      await this.#kernel(architecture, kernel);
      await this.#node(architecture);
      shimFor(architecture, await this.#headers(), this.#root, this.#cache);
    }
  }

  /** A guest's kernel and archives for one boot, with `more` files in them; the archives are written to the directory `at`. */
  async imagesOf(
    { name, guest, parts, harm }: Boot,
    programs: Programs,
    at: string,
    more: readonly Entry[] = [],
  ): Promise<Images> {
    const { architecture } = guest;
    const kernel = await this.#kernel(architecture, guest.kernel);
    const own = cpio([
      ...Object.entries(programs).map(([name, bundle]) => file(`app/src/${name}.mjs`, bundle)),
      file("app/dist/core.wasm", readFileSync(join(this.#root, "dist/core.wasm"))),
      file("app/vfio_shim.node", readFileSync(shimFor(architecture, await this.#headers(), this.#root, this.#cache))),
      file("app/guest.json", JSON.stringify({ name: guest.name, machine: guest.machine, hugepages: guest.hugepages })),
      file("app/parts", parts.map(({ name, seconds }) => `${name} ${seconds}\n`).join("")),
      file("app/row", harm?.id ?? ""),
      program("init", readFileSync(join(this.#root, "test/kernels/guest/init.sh"))),
      ...more,
    ]);
    const initrd = join(at, `${fileName(name)}.initrd`);
    const layers = [readFileSync(kernel.layer), own, readFileSync(await this.#node(architecture))];
    writeFileSync(initrd, Buffer.concat(layers));
    return { kernel: kernel.path, initrd };
  }

  /** The kernel itself, and the layer with its modules and busybox. */
  async #kernel(architecture: Architecture, name: string): Promise<{ path: string; layer: string }> {
    const path = join(this.#cache, architecture.debian, name, "kernel");
    const layer = join(this.#cache, architecture.debian, name, "modules.cpio");
    if (existsSync(path) && existsSync(layer)) return { path, layer };
    const apt = this.#apt(architecture);
    const [deb = ""] = await apt.fetch({ package: `linux-image-${name}`, with: "version" });
    const [busybox = ""] = await apt.fetch({ package: "busybox-static", with: "nothing" });
    this.#say(`unpacking ${basename(deb)}`);
    const unpacked = this.#fresh(architecture, "unpacked");
    const files = architecture.modules.map((module) => `*/kernel/*/${module}.ko.xz`);
    unpack(deb, unpacked, `./boot/${architecture.kernelFile}*`, ...files);
    unpack(busybox, unpacked, "*/bin/busybox");
    mkdirSync(join(path, ".."), { recursive: true });
    const modules = architecture.modules.map((module) => this.#module(unpacked, module));
    const root = [
      ...["dev", "proc", "sys", "tmp", "root"].map(directory),
      program("bin/busybox", readFileSync(find(unpacked, "busybox"))),
      link("bin/sh", "busybox"),
      file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n"),
      file("lib/modules/order", `${architecture.modules.join("\n")}\n`),
      ...modules,
    ];
    put(layer, cpio(root));
    renameSync(find(join(unpacked, "boot"), architecture.kernelFile), path);
    rmSync(unpacked, { recursive: true });
    return { path, layer };
  }

  /** busybox loads modules as they are, and Debian packs them. */
  #module(unpacked: string, name: string): Entry {
    return file(`lib/modules/${name}.ko`, output("xz", ["-dc", find(unpacked, `${name}.ko.xz`)]));
  }

  async #node(architecture: Architecture): Promise<string> {
    const layer = join(this.#cache, architecture.debian, "node.cpio.zst");
    if (existsSync(layer)) return layer;
    const debs = await this.#apt(architecture).fetch({ package: "nodejs", with: "dependencies" });
    this.#say(`packing Node for ${architecture.debian}`);
    const unpacked = this.#fresh(architecture, "unpacked-node");
    const { triplet } = architecture;
    for (const deb of debs) unpack(deb, unpacked, ".");
    const root = [
      program("usr/bin/node", readFileSync(join(unpacked, "usr/bin/node"))),
      ...entriesIn(join(unpacked, "usr/lib", triplet), `usr/lib/${triplet}`, (path) => !unused.test(path)),
      ...entriesIn(join(unpacked, "usr/lib64"), "usr/lib64"),
      ...entriesIn(join(unpacked, "usr/share/nodejs"), "usr/share/nodejs", (path) => !unused.test(path)),
      link("lib64", "usr/lib64"),
      link(`lib/${triplet}`, `../usr/lib/${triplet}`),
    ];
    put(layer, output("zstd", ["-q", "-3", "-T0", "-c"], cpio(root)));
    rmSync(unpacked, { recursive: true });
    return layer;
  }

  /** Node's headers, which are the same for every architecture. */
  async #headers(): Promise<string> {
    const unpacked = join(this.#cache, "headers");
    const headers = join(unpacked, "usr/include/node");
    if (existsSync(join(headers, "node_api.h"))) return headers;
    const { power } = await import("./guests.ts");
    const [deb = ""] = await this.#apt(power).fetch({ package: "libnode-dev", with: "nothing" });
    unpack(deb, unpacked, "./usr/include/node");
    return headers;
  }

  #apt(architecture: Architecture): Apt {
    const { debian } = architecture;
    let apt = this.#apts.get(debian);
    if (apt === undefined) {
      const at = join(this.#cache, debian, "apt");
      mkdirSync(at, { recursive: true });
      apt = new Apt({ directory: at, architecture: debian, say: this.#say });
      this.#apts.set(debian, apt);
    }
    return apt;
  }

  #fresh(architecture: Architecture, name: string): string {
    const at = join(this.#cache, architecture.debian, name);
    rmSync(at, { recursive: true, force: true });
    mkdirSync(at, { recursive: true });
    return at;
  }
}

/** A boot's name as a file's: `pseries-4k-harm-2-6`. */
export function fileName(boot: string): string {
  return boot.replaceAll(/[ /]/g, "-");
}

/** Whole or not at all: what was begun and not ended is not taken for finished the next time. */
function put(path: string, content: Uint8Array): void {
  writeFileSync(`${path}.new`, content);
  renameSync(`${path}.new`, path);
}

/** The first file below a directory whose name begins so. @throws Error */
function find(below: string, name: string): string {
  for (const found of readdirSync(below, { withFileTypes: true, recursive: true })) {
    if (found.isFile() && found.name.startsWith(name)) return join(found.parentPath, found.name);
  }
  throw new Error(`no file ${name} in what was unpacked to ${below}: the package is not what it was`);
}
