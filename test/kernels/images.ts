/**
 * What a guest boots: its kernel, and its first root as archives one behind the other.
 *
 *     | /init, busybox, modules | the program, the shim | Node and its libraries, compressed |
 *       by kernel, kept           anew every time         by architecture, kept
 *
 * PowerNV's firmware takes 128 MiB at most, so Node is compressed; what comes first must not be.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cardRom } from "../conformance/card-rom.ts";
import { commandsFor } from "../documents/in-guests.ts";
import { Apt } from "./apt.ts";
import type { Boot } from "./boots.ts";
import { rawProgramFor, shimFor } from "./compiled.ts";
import { cpio, type Entry, file, program } from "./cpio.ts";
import { diskFacts } from "./disk.ts";
import type { Architecture, Guest } from "./guests.ts";
import { type Kernel, kernelOf, type Shop, type Wish } from "./kernels.ts";
import { type Node, nodeOf } from "./node.ts";
import type { Equipment } from "./report.ts";
import { sweep } from "./unpack.ts";

export interface Images {
  /** Path of the kernel. */
  readonly kernel: string;
  /** Path of the archives. */
  readonly initrd: string;
  /** Path of the disk: another one for each boot. */
  readonly disk: string;
  /** Path of the log in which QEMU writes what the NVMe controller saw of its registers. */
  readonly accesses: string;
  /** Path of the network card's ROM. */
  readonly rom: string;
}

/** Bundles by the name that the guest knows them by; the core is in them. */
export type Programs = Readonly<
  Record<"guest" | "conformance" | "hardware" | "nvme" | "cli" | "first-register", Uint8Array>
>;

export class Workshop {
  readonly #cache: string;
  readonly #root: string;
  readonly #wish: Wish;
  readonly #say: (line: string) => void;
  readonly #silent = new Map<string, string>();
  readonly #shops = new Map<string, Shop>();
  /** What was found in this run, or why nothing was: all guests of a kind get the same. */
  readonly #kernels = new Map<string, Promise<Kernel>>();
  readonly #nodes = new Map<string, Promise<Node>>();

  /** `root`: this package, with its core built. */
  constructor(cache: string, root: string, wish: Wish, say: (line: string) => void) {
    this.#cache = cache;
    this.#root = root;
    this.#wish = wish;
    this.#say = say;
  }

  /** Everything that a guest needs and that lasts: fetched, unpacked and compiled. @throws NothingToBeHad */
  async prepare({ architecture, kernel }: Guest): Promise<Equipment> {
    const found = await this.#kernel(architecture, kernel);
    const node = await this.#node(architecture);
    this.#shim(architecture);
    this.#raw(architecture);
    const { engines } = JSON.parse(readFileSync(join(this.#root, "package.json"), "utf8")) as {
      engines: { node: string };
    };
    return { kernel: found.origin, node: node.origin, engines: engines.node };
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
    const node = await this.#node(architecture);
    const own = cpio([
      ...Object.entries(programs).map(([name, bundle]) => file(`app/src/${name}.mjs`, bundle)),
      file("app/vfio_shim.node", readFileSync(this.#shim(architecture))),
      program("app/raw", readFileSync(this.#raw(architecture))),
      file("app/guest.json", JSON.stringify({ name: guest.name, machine: guest.machine, hugepages: guest.hugepages })),
      file("app/parts", parts.map(({ name, seconds }) => `${name} ${seconds}\n`).join("")),
      file("app/row", harm?.id ?? ""),
      file("app/documents.json", JSON.stringify(commandsFor(guest.machine))),
      file("app/disk.json", JSON.stringify(diskFacts())),
      program("init", readFileSync(join(this.#root, "test/kernels/guest/init.sh"))),
      ...more,
    ]);
    const initrd = join(at, `${fileName(name)}.initrd`);
    writeFileSync(initrd, Buffer.concat([readFileSync(kernel.layer), own, readFileSync(node.layer)]));
    const beside = (what: string) => join(at, `${fileName(name)}.${what}`);
    writeFileSync(beside("rom"), cardRom());
    return { kernel: kernel.path, initrd, disk: beside("disk"), accesses: beside("accesses"), rom: beside("rom") };
  }

  #kernel(architecture: Architecture, flavour: string): Promise<Kernel> {
    return once(this.#kernels, flavour, () => kernelOf(this.#shop(architecture), flavour, this.#wish));
  }

  #node(architecture: Architecture): Promise<Node> {
    return once(this.#nodes, architecture.debian, () => nodeOf(this.#shop(architecture), this.#wish));
  }

  #shim(architecture: Architecture): string {
    return shimFor(architecture, this.#root, this.#cache);
  }

  #raw(architecture: Architecture): string {
    return rawProgramFor(architecture, this.#root, this.#cache);
  }

  #shop(architecture: Architecture): Shop {
    const { debian } = architecture;
    return once(this.#shops, debian, () => {
      const cache = join(this.#cache, debian);
      const directory = join(cache, "apt");
      mkdirSync(directory, { recursive: true });
      for (const one of [cache, directory, join(cache, "npm")]) sweep(one);
      const mirror = process.env.DMA_WINDOW_MIRROR;
      const apt = new Apt({
        directory,
        architecture: debian,
        say: this.#say,
        silent: this.#silent,
        ...(mirror && { mirror }),
      });
      return { apt, architecture, cache, say: this.#say };
    });
  }
}

function once<T>(all: Map<string, T>, name: string, make: () => T): T {
  const known = all.get(name) ?? make();
  all.set(name, known);
  return known;
}

/** A boot's name as a file's: `pseries-4k-harm-2-6`. */
export function fileName(boot: string): string {
  return boot.replaceAll(/[ /]/g, "-");
}
