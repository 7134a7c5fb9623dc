/**
 * Compiles the rivals, into a directory that is gone when the bench ends. What cannot be compiled is left out, with a word why.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Addon, NativeRival } from "./native.ts";

const here = dirname(fileURLToPath(import.meta.url));

export interface Rivals {
  /** As the compiler would have it on this very processor, and for every x86-64 of the last decade. */
  readonly native?: NativeRival;
  readonly portable?: NativeRival;
  /** The program of dpdk.c. */
  readonly dpdk?: string;
  /** The program of mempool.c. */
  readonly mempool?: string;
  /** The programs of allocators.c, by the allocator. */
  readonly rte_malloc?: string;
  readonly mimalloc?: string;
  readonly jemalloc?: string;
  readonly glibc?: string;
  /** DPDK's version. */
  readonly dpdkVersion?: string;
  /** The file of the native addon, for a process of its own. */
  readonly addonFile?: string;
  /** The compiler as it names itself. */
  readonly compiler?: string;
  /** Which rivals are missing, and why: a sentence each. */
  readonly leftOut: readonly string[];
}

/** What a command prints; the error says what it complained of. */
function output(command: string, ...parameters: readonly string[]): string {
  return execFileSync(command, parameters, { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }).trim();
}

/** The directory of node_api.h: beside this node, or where NODE_API_HEADERS says. */
function headers(): string | undefined {
  const prefix = process.env.npm_config_nodedir ?? dirname(dirname(process.execPath));
  const found = process.env.NODE_API_HEADERS ?? join(prefix, "include", "node");
  return existsSync(join(found, "node_api.h")) ? found : undefined;
}

/** The line of what went wrong that says so, or the first that says anything. */
function reason(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message?: string };
  const lines = `${stderr ?? ""}\n${message ?? ""}`.split("\n").map((line) => line.trim());
  return lines.find((line) => /\berror\b/i.test(line)) ?? lines.find((line) => line !== "") ?? "no reason given";
}

type ProgramName = "dpdk" | "mempool" | "rte_malloc" | "mimalloc" | "jemalloc" | "glibc";

class Builder {
  readonly #compiler: string;
  readonly #directory = mkdtempSync(join(tmpdir(), "dma-window-bench-"));
  readonly leftOut: string[] = [];

  constructor(compiler: string) {
    this.#compiler = compiler;
    process.once("exit", () => rmSync(this.#directory, { recursive: true, force: true }));
  }

  /** Whatever `make` gives; nothing, and a sentence, when it throws. */
  attempt<T>(what: string, make: () => T): T | undefined {
    try {
      return make();
    } catch (error) {
      this.leftOut.push(`${what}: ${reason(error)}`);
      return undefined;
    }
  }

  addon(architecture: string): string {
    const node = headers();
    if (node === undefined) throw new Error("no node_api.h beside this node; NODE_API_HEADERS may name its directory");
    const file = join(this.#directory, `rivals-${architecture}.node`);
    const sources = ["kernels.c", "addon.c"].map((source) => join(here, source));
    const flags = ["-O3", `-march=${architecture}`, "-std=gnu11", "-shared", "-fPIC", "-Wall", "-Wextra"];
    // Vectors wider than the processor's are passed to nobody: that a later compiler would pass them otherwise is no concern.
    flags.push("-Wno-psabi");
    output(this.#compiler, ...flags, `-I${node}`, ...sources, "-o", file);
    return file;
  }

  /** A program, of one source; `-fno-plt`: calls of a library go there without a jump on the way. */
  program(name: string, source: string, ...parameters: readonly string[]): string {
    const file = join(this.#directory, name);
    const flags = ["-O3", "-march=native", "-std=gnu11", "-fno-plt", "-Wl,-z,now"];
    output(this.#compiler, ...flags, join(here, source), "-o", file, ...parameters);
    return file;
  }

  withDpdk(name: string, source: string, ...parameters: readonly string[]): string {
    const words = (...of: readonly string[]): string[] => output("pkg-config", ...of, "libdpdk").split(/\s+/);
    return this.program(name, source, ...parameters, ...words("--cflags"), "-Wl,--as-needed", ...words("--libs"));
  }

  /** jemalloc's malloc is the program's only one. In one piece with it where there is an archive: that is the faster. */
  jemalloc(): string {
    const build = (...libraries: readonly string[]): string =>
      this.program("jemalloc", "allocators.c", "-DRIVAL_JEMALLOC", ...libraries);
    try {
      return build("-l:libjemalloc.a", "-lstdc++", "-lm", "-lpthread", "-ldl");
    } catch {
      return build("-ljemalloc");
    }
  }

  /** Those that there are. */
  programs(hasDpdk: boolean): Partial<Pick<Rivals, ProgramName>> {
    const made: Record<ProgramName, string | undefined> = {
      glibc: this.attempt("glibc's malloc", () => this.program("glibc", "allocators.c")),
      mimalloc: this.attempt("mimalloc (Debian: apt-get install libmimalloc-dev)", () =>
        this.program("mimalloc", "allocators.c", "-DRIVAL_MIMALLOC", "-lmimalloc"),
      ),
      jemalloc: this.attempt("jemalloc (Debian: apt-get install libjemalloc-dev)", () => this.jemalloc()),
      dpdk: hasDpdk ? this.attempt("DPDK", () => this.withDpdk("dpdk", "dpdk.c")) : undefined,
      mempool: hasDpdk ? this.attempt("rte_mempool", () => this.withDpdk("mempool", "mempool.c")) : undefined,
      rte_malloc: hasDpdk
        ? this.attempt("rte_malloc", () => this.withDpdk("rte_malloc", "allocators.c", "-DRIVAL_DPDK"))
        : undefined,
    };
    return Object.fromEntries(Object.entries(made).filter(([, file]) => file !== undefined));
  }
}

function load(name: string, file: string): NativeRival {
  return { name, addon: createRequire(import.meta.url)(file) as Addon };
}

/** Compiles what can be compiled. In some three seconds. `compiler` is a command without options. */
export function buildRivals(compiler: string = process.env.CC || "cc"): Rivals {
  const builder = new Builder(compiler);
  const version = builder.attempt("the rivals in C and DPDK", () => output(compiler, "--version").split("\n")[0] ?? "");
  if (version === undefined) return { leftOut: builder.leftOut };
  const addonFile = builder.attempt("C for this processor", () => builder.addon("native"));
  const native = addonFile && builder.attempt("C for this processor", () => load("C -O3 -march=native", addonFile));
  const portable =
    process.arch === "x64"
      ? builder.attempt("C for x86-64-v2", () => load("C -O3 -march=x86-64-v2", builder.addon("x86-64-v2")))
      : undefined;
  const dpdkVersion = builder.attempt("DPDK (Debian: apt-get install libdpdk-dev)", () =>
    output("pkg-config", "--modversion", "libdpdk"),
  );
  return {
    ...(native && { native }),
    ...(portable && { portable }),
    ...builder.programs(dpdkVersion !== undefined),
    ...(dpdkVersion && { dpdkVersion }),
    ...(addonFile && { addonFile }),
    compiler: version,
    leftOut: builder.leftOut,
  };
}
