/** The source of Linux's own tests of VFIO, out of the newest of Debian's packages of it. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Apt } from "../kernels/apt.ts";
import { type Candidate, firstOf } from "../kernels/candidates.ts";
import type { Shop } from "../kernels/kernels.ts";
import type { Package } from "../kernels/packages.ts";
import type { Suite } from "../kernels/suites.ts";
import { find, inPassing, output, settle, sweep, unpack } from "../kernels/unpack.ts";
import { compare, linuxOf } from "../kernels/versions.ts";

/** The tests came with Linux 6.18: no stable release of Debian has them yet. */
const FIRST = "6.18";
const suites: readonly Suite[] = ["trixie-backports", "forky", "sid"].map((name) => ({ name, archive: "debian" }));

/** All that they are compiled of, with what their links lead to: 4 MB of 1.6 GB. */
const parts = [
  ...["tools/testing/selftests/vfio", "tools/testing/selftests/kselftest.h"],
  ...["tools/testing/selftests/kselftest_harness.h", "tools/include", "tools/arch/x86/include"],
  ...["include/uapi/linux/vfio.h", "include/uapi/linux/iommufd.h", "include/linux/pci_ids.h"],
  ...["drivers/dma/idxd/registers.h", "drivers/dma/ioat/hw.h", "drivers/dma/ioat/registers.h"],
  ...["e1000_regs.h", "e1000_82575.h", "e1000_defines.h"].map((name) => `drivers/net/ethernet/intel/igb/${name}`),
];

export interface LinuxSource {
  /** The directory that `tools`, `include` and the others are in. */
  readonly path: string;
  /** `linux-source-7.3 7.3.4-1~bpo13+1` */
  readonly version: string;
}

/** As with guests' kernels, what is in the cache comes first. @throws NothingToBeHad */
export async function linuxSource({ apt, cache, say }: Shop): Promise<LinuxSource> {
  const own = join(cache, "linux-source");
  sweep(own);
  const { got } = await firstOf("the source of Linux's tests of VFIO", candidates(apt, own, say), say);
  return got;
}

async function* candidates(
  apt: Apt,
  cache: string,
  say: (line: string) => void,
): AsyncGenerator<Candidate<LinuxSource>> {
  const there = (existsSync(cache) ? readdirSync(cache) : []).flatMap((name) => {
    const source = readSource(join(cache, name));
    return source === undefined ? [] : [source];
  });
  for (const source of there.sort((a, b) => compare(wordOf(b), wordOf(a)))) {
    yield { name: `${source.version} (cache)`, get: () => source };
  }
  for (const suite of suites) {
    let packages: readonly Package[] = [];
    try {
      packages = await apt.named(suite, "linux-source-", /^linux-source-\d/);
    } catch (error) {
      yield { name: suite.name, get: () => Promise.reject(error) };
    }
    const serving = packages.filter(({ version }) => compare(linuxOf(version), FIRST) >= 0);
    for (const one of [...serving].sort((a, b) => compare(linuxOf(b.version), linuxOf(a.version)))) {
      const name = `${one.name} ${one.version} (${suite.name})`;
      yield { name, get: async () => make(cache, one, await apt.fetch(suite, one), say) };
    }
  }
}

/** Unpacks the parts; the package, 170 MB, is not kept. */
function make(cache: string, { name, version }: Package, deb: string, say: (line: string) => void): LinuxSource {
  say(`unpacking ${basename(deb)}`);
  const at = join(cache, `${name}_${encodeURIComponent(version)}`);
  try {
    inPassing(cache, "unpacking", (unpacked) => {
      unpack(deb, unpacked, "*.tar.xz");
      const archive = find(unpacked, "linux-source-");
      const top = basename(archive, ".tar.xz");
      const made = join(unpacked, "made");
      mkdirSync(made);
      output("tar", ["-xJf", archive, "-C", made, "--strip-components=1", ...parts.map((part) => `${top}/${part}`)]);
      writeFileSync(join(made, "version"), `${name} ${version}\n`);
      settle(made, at, () => readSource(at) !== undefined);
    });
  } finally {
    rmSync(deb, { force: true });
  }
  return { path: at, version: `${name} ${version}` };
}

/** What was unpacked before, if it is whole. */
function readSource(at: string): LinuxSource | undefined {
  const file = join(at, "version");
  return existsSync(file) ? { path: at, version: readFileSync(file, "latin1").trim() } : undefined;
}

/** `7.3.4` */
function wordOf({ version }: LinuxSource): string {
  return linuxOf(version.split(" ")[1] ?? "");
}
