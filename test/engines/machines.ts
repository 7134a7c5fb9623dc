/**
 * The prebuilt shims on machines that this one is not: arm64 and POWER, whose processors QEMU emulates for a program, and musl. Of Linux
 * it is this machine's that answers; VFIO is in no reach.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheDirectory } from "../kernels/host.ts";
import { type Engine, installed, versionOf } from "./binaries.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

export interface Machine {
  readonly name: string;
  readonly shim: string;
  /** What has to be there, and the Debian package that it is from. */
  readonly needs: Readonly<Record<string, string>>;
  /** Jobs that this engine cannot do, and why. */
  readonly lacks: Readonly<Record<string, string>>;
  /** @throws Error that says why there is none. */
  engine(): Engine;
}

const shimOf = (name: string) => join(root, `prebuilds/linux-${name}/vfio_shim.node`);

/** Node's build for another processor, with the libraries of Debian's cross compiler. */
function emulated(processor: "arm64" | "ppc64le", version: string): Machine {
  const [qemu, triplet, debian] =
    processor === "arm64"
      ? (["qemu-aarch64-static", "aarch64-linux-gnu", "arm64"] as const)
      : (["qemu-ppc64le-static", "powerpc64le-linux-gnu", "ppc64el"] as const);
  const libraries = `/usr/${triplet}`;
  const library = (file: string, name: string) => ({ [`${libraries}/lib/${file}`]: `${name}-${debian}-cross` });
  const isOld = processor === "ppc64le";
  return {
    name: `Node on ${processor}`,
    shim: shimOf(processor),
    needs: {
      [`/usr/bin/${qemu}`]: "qemu-user-static",
      ...library("libc.so.6", "libc6"),
      ...library("libstdc++.so.6", "libstdc++6"),
      ...library("libatomic.so.1", "libatomic1"),
    },
    // The newest that npm has for POWER is Node 20.11, which cannot say which sockets there are.
    lacks: isOld ? { "a socket that reads into memory": "needs Node 20.16" } : {},
    engine() {
      const name = `node-linux-${processor}`;
      const node = installed(`${name}-${version}`, `${name}@${version}`, `${name}/bin/node`, "--force");
      const parameters = ["-L", libraries, node];
      return {
        name: this.name,
        command: qemu,
        parameters,
        version: versionOf(qemu, parameters),
        env: { DMA_WINDOW_SHIM: this.shim },
      };
    },
  };
}

/**
 * Bun's build for musl, as npm has none of Node's. It needs a C++ library for musl, which Debian has not: glibc's serves, with musl.c beside
 * it. The shim needs neither.
 */
const musl: Machine = {
  name: "Bun on musl",
  shim: shimOf("x64"),
  needs: {
    "/lib/ld-musl-x86_64.so.1": "musl",
    "/usr/lib/x86_64-linux-gnu/libstdc++.so.6": "libstdc++6",
    "/usr/bin/gcc": "gcc",
  },
  lacks: {},
  engine() {
    const bun = installed("bun-musl", "@oven/bun-linux-x64-musl@1", "@oven/bun-linux-x64-musl/bin/bun", "--force");
    const libraries = join(cacheDirectory(), "engines/bun-musl/libraries");
    mkdirSync(libraries, { recursive: true });
    for (const name of ["libstdc++.so.6", "libgcc_s.so.1"]) {
      const from = ["/usr/lib", "/lib"]
        .map((lib) => `${lib}/x86_64-linux-gnu/${name}`)
        .find((path) => existsSync(path));
      if (from !== undefined && !readdirSync(libraries).includes(name)) symlinkSync(from, join(libraries, name));
    }
    const words = [
      "-O2",
      "-shared",
      "-fPIC",
      "-nostdlib",
      join(root, "test/engines/musl.c"),
      "-o",
      join(libraries, "ld-linux-x86-64.so.2"),
    ];
    const { status, stderr } = spawnSync("gcc", words, { encoding: "utf8" });
    if (status !== 0) throw new Error(`musl.c does not compile: ${stderr}`);
    const [command, env] = ["/lib/ld-musl-x86_64.so.1", { LD_LIBRARY_PATH: libraries, DMA_WINDOW_SHIM: this.shim }];
    return { name: this.name, command, parameters: [bun], version: versionOf(command, [bun], env), env };
  },
};

export const machines: readonly Machine[] =
  process.arch === "x64" ? [musl, emulated("arm64", "20"), emulated("ppc64le", "20.11.0")] : [];

/** Debian packages to install first, in the order of the alphabet. */
export function missingPackages(): string[] {
  const path = (process.env.PATH ?? "").split(delimiter);
  const has = (file: string) => existsSync(file) || path.some((directory) => existsSync(join(directory, file)));
  const missing = machines.flatMap(({ needs }) =>
    Object.entries(needs).flatMap(([file, name]) => (has(file) ? [] : [name])),
  );
  return [...new Set(missing)].sort();
}
