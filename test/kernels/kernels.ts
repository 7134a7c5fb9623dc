/** The kernels that guests boot: out of the cache, or of the first suite that has one. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Apt } from "./apt.ts";
import { type Candidate, firstOf, NoneThere, type PassedOver } from "./candidates.ts";
import { cpio, directory, type Entry, file, link, program } from "./cpio.ts";
import type { Architecture } from "./guests.ts";
import { type Package, packageOf } from "./packages.ts";
import { kernelSuites, programSuites } from "./suites.ts";
import { find, inPassing, isIn, output, settle, unpack } from "./unpack.ts";
import { compare, isOf, linuxOf } from "./versions.ts";

/** What is asked of a kernel. */
export interface Wish {
  /** A version, or the beginning of one: `6.12.107`, `6.12`. Without it: what is known to work. */
  readonly linux?: string | undefined;
  /** Whether the mirror is asked first, and the cache only where the mirror has nothing. */
  readonly fresh: boolean;
}

/** Where a kernel is from, for the report. */
export interface KernelOrigin {
  /** `linux-image-6.12.107+deb13-powerpc64le` */
  readonly package: string;
  /** Debian's version of it: `6.12.107-1`. */
  readonly version: string;
  /** `trixie`; `undefined` where a cache of before does not say. */
  readonly suite: string | undefined;
  /** Whether it was there already. */
  readonly isCached: boolean;
  /** What would have been taken before it and could not be had. */
  readonly passedOver: readonly PassedOver[];
}

export interface Kernel {
  /** Path of the kernel itself. */
  readonly path: string;
  /** Path of the archive with its modules and busybox. */
  readonly layer: string;
  readonly origin: KernelOrigin;
}

/** What is written beside an unpacked kernel. */
interface About extends Package {
  readonly suite?: string | undefined;
  /** Those in the layer, of both kinds: a layer with others is made anew. */
  readonly modules: readonly string[];
}

export interface Shop {
  readonly apt: Apt;
  readonly architecture: Architecture;
  /** The cache's part for this architecture. */
  readonly cache: string;
  readonly say: (line: string) => void;
}

/** A kernel of Debian's flavour, `powerpc64le-64k`, unpacked. @throws NothingToBeHad */
export async function kernelOf(shop: Shop, flavour: string, wish: Wish): Promise<Kernel> {
  const what = `a kernel ${wish.linux ?? shop.architecture.series.join(" or ")} (linux-image-*-${flavour})`;
  const { got, passedOver } = await firstOf(what, candidates(shop, flavour, wish), shop.say);
  return { ...got, origin: { ...got.origin, passedOver } };
}

async function* candidates(shop: Shop, flavour: string, wish: Wish): AsyncGenerator<Candidate<Kernel>> {
  const series = wish.linux === undefined ? shop.architecture.series : [wish.linux];
  const serves = ({ version }: Package) => series.some((one) => isOf(linuxOf(version), one));
  const name = kernelName(flavour);
  if (!wish.fresh) yield* cached(shop, name, serves);
  const offered = new Set<string>();
  for (const suite of kernelSuites) {
    let packages: readonly Package[] = [];
    try {
      packages = await shop.apt.named(suite, "linux-image-", name);
    } catch (error) {
      yield { name: suite.name, get: () => Promise.reject(error) };
      continue;
    }
    const serving = newestFirst(packages.filter(serves));
    if (serving.length === 0) yield none(suite.name, packages);
    for (const one of serving) {
      // The suites of an archive share its files.
      const file = `${suite.archive} ${words(one)}`;
      if (offered.has(file)) continue;
      offered.add(file);
      yield {
        name: `${words(one)} (${suite.name})`,
        get: async () => {
          const known = join(shop.cache, "kernels", directoryOf(one));
          if (readAbout(shop, known) !== undefined) return kernelIn(known, { ...one, suite: suite.name }, true);
          return await make(shop, one, suite.name, await shop.apt.fetch(suite, one), false);
        },
      };
    }
  }
  if (wish.fresh) yield* cached(shop, name, serves);
}

/** The kernels that are there: unpacked, or as the files of packages. */
function* cached(shop: Shop, name: RegExp, serves: (one: Package) => boolean): Generator<Candidate<Kernel>> {
  const at = join(shop.cache, "kernels");
  const unpacked = (existsSync(at) ? readdirSync(at) : []).flatMap((own) => {
    const about = readAbout(shop, join(at, own));
    return about === undefined ? [] : [{ ...about, make: () => kernelIn(join(at, own), about, true) }];
  });
  const debs = (existsSync(shop.apt.debs) ? readdirSync(shop.apt.debs) : []).filter((deb) => deb.endsWith(".deb"));
  const packed = debs.map((deb) => {
    const one = packageOf(deb);
    return { ...one, make: () => make(shop, one, undefined, join(shop.apt.debs, deb), true) };
  });
  const all = [...unpacked, ...packed].filter((one) => name.test(one.name));
  const serving = newestFirst(all.filter(serves));
  if (serving.length === 0) yield none("the cache", all);
  for (const one of serving) yield { name: `${words(one)} (cache)`, get: one.make };
}

function none(where: string, packages: readonly Package[]): Candidate<never> {
  const versions = [...new Set(newestFirst(packages).map(({ version }) => version))];
  const reason = versions.length === 0 ? "has none" : `has ${versions.join(", ")}`;
  return { name: where, get: () => Promise.reject(new NoneThere(reason)) };
}

/** `linux-image-6.12.107+deb13-amd64`, `linux-image-6.1.0-47-amd64`; none of `rt` or `cloud`. */
export function kernelName(flavour: string): RegExp {
  return new RegExp(`^linux-image-\\d+(\\.\\d+)+(\\+\\w+)*(-\\d[\\w.]*)*-${flavour}$`);
}

function newestFirst<T extends Package>(packages: readonly T[]): T[] {
  const numeric = { numeric: true };
  // Of one version of Linux, Debian's newer revision.
  return [...packages].sort(
    (a, b) => compare(linuxOf(b.version), linuxOf(a.version)) || b.version.localeCompare(a.version, "en", numeric),
  );
}

function words({ name, version }: Package): string {
  return `${name} ${version}`;
}

function directoryOf({ name, version }: Package): string {
  return `${name}_${encodeURIComponent(version)}`;
}

function kernelIn(
  at: string,
  { name, version, suite }: Package & { suite?: string | undefined },
  isCached: boolean,
): Kernel {
  const origin = { package: name, version, suite, isCached, passedOver: [] };
  return { path: join(at, "kernel"), layer: join(at, "modules.cpio"), origin };
}

/** What an unpacked kernel says of itself; `undefined` where it is not whole, or has not the modules that are wanted today. */
function readAbout({ architecture }: Shop, at: string): About | undefined {
  const about = join(at, "about.json");
  if (!["kernel", "modules.cpio"].every((name) => existsSync(join(at, name)))) return undefined;
  try {
    const read = JSON.parse(readFileSync(about, "utf8")) as About;
    return `${read.modules}` === `${modulesOf(architecture)}` ? read : undefined;
  } catch {
    return undefined;
  }
}

/** Unpacks a kernel's package; whole or not at all. A file that cannot be unpacked is not kept. */
async function make(
  shop: Shop,
  one: Package,
  suite: string | undefined,
  deb: string,
  isCached: boolean,
): Promise<Kernel> {
  const { architecture, cache, say } = shop;
  const busybox = await busyboxOf(shop);
  say(`unpacking ${basename(deb)}`);
  mkdirSync(join(cache, "kernels"), { recursive: true });
  const at = join(cache, "kernels", directoryOf(one));
  inPassing(cache, "unpacking", (unpacked) => {
    const made = join(unpacked, "made");
    mkdirSync(made);
    try {
      const others = architecture.modules.filter((name) => !name.startsWith("vfio"));
      unpack(deb, unpacked, "./boot/*", "*/drivers/vfio/*", ...others.map((name) => `*/${name}.ko*`));
      unpackDiskDriver(architecture, deb, unpacked);
    } catch (error) {
      rmSync(deb, { force: true });
      throw error;
    }
    const about: About = { ...one, suite, modules: modulesOf(architecture) };
    writeFileSync(join(made, "modules.cpio"), layerOf(architecture, unpacked, busybox));
    renameSync(find(join(unpacked, "boot"), architecture.kernelFile), join(made, "kernel"));
    writeFileSync(join(made, "about.json"), JSON.stringify(about));
    settle(made, at, () => readAbout(shop, at) !== undefined);
  });
  return kernelIn(at, { ...one, suite }, isCached);
}

/** What comes first in a guest's root: directories, busybox, VFIO's modules and their order. */
function layerOf(architecture: Architecture, unpacked: string, busybox: Uint8Array): Buffer {
  const isThere = (name: string) => !gone.has(name) || isIn(unpacked, `${name}.ko`);
  const ordered = architecture.modules.filter(isThere);
  const later = architecture.diskModules.filter((name) => isIn(unpacked, `${name}.ko`));
  const modules = [...ordered, ...later].map((name) => ({ name, content: moduleIn(unpacked, name) }));
  return cpio([
    ...["dev", "proc", "sys", "tmp", "root"].map(directory),
    program("bin/busybox", busybox),
    link("bin/sh", "busybox"),
    file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n"),
    file("lib/modules/order", ordered.map((name) => `${name}\n`).join("")),
    file("lib/modules/disk", later.map((name) => `${name}\n`).join("")),
    ...modules.map(({ name, content }): Entry => file(`lib/modules/${name}.ko`, content)),
  ]);
}

/** Modules that newer versions have no more: `vfio_virqfd` became part of `vfio` in 6.2. */
const gone: ReadonlySet<string> = new Set(["vfio_virqfd"]);

/** A kernel need not have it. */
function unpackDiskDriver({ diskModules }: Architecture, deb: string, into: string): void {
  if (diskModules.length === 0) return;
  try {
    unpack(deb, into, "*/drivers/nvme/*");
  } catch {
    // The package was whole a moment ago: tar complains that nothing in it has such a name.
  }
}

/** All that a layer has. */
function modulesOf({ modules, diskModules }: Architecture): string[] {
  return [...modules, ...diskModules];
}

/** busybox loads modules as they are, and Debian packs them since 6.12. */
function moduleIn(unpacked: string, name: string): Buffer {
  const path = find(unpacked, `${name}.ko`);
  return path.endsWith(".xz") ? output("xz", ["-dc", path]) : readFileSync(path);
}

/** The shell and the programs around it, of any release. */
async function busyboxOf({ apt, cache, say }: Shop): Promise<Uint8Array> {
  const name = "busybox-static";
  const { got } = await firstOf(name, busyboxes(), say);
  return got;

  async function* busyboxes(): AsyncGenerator<Candidate<Uint8Array>> {
    const debs = existsSync(apt.debs) ? readdirSync(apt.debs) : [];
    for (const deb of debs
      .filter((one) => packageOf(one).name === name)
      .sort()
      .reverse())
      yield { name: `${deb} (cache)`, get: () => programIn(join(apt.debs, deb)) };
    for (const suite of programSuites) {
      let packages: readonly Package[] = [];
      try {
        packages = await apt.named(suite, name, /^busybox-static$/);
      } catch (error) {
        yield { name: suite.name, get: () => Promise.reject(error) };
      }
      for (const one of packages)
        yield { name: `${words(one)} (${suite.name})`, get: async () => programIn(await apt.fetch(suite, one)) };
    }
  }

  function programIn(deb: string): Uint8Array {
    return inPassing(cache, "unpacking", (unpacked) => {
      unpack(deb, unpacked, "*/bin/busybox");
      return readFileSync(find(unpacked, "busybox"));
    });
  }
}
