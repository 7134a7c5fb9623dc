/**
 * Where the bytes of the modules go, of the core and of the allocator: the sections of each build, and its largest functions.
 *
 *     npm run wasm:report
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { textTable } from "../harness/table.ts";
import { type FunctionSize, type ModuleSizes, moduleSizes } from "./sections.ts";

const LARGEST = 20;

/** A file in dist/, and how asc makes it. */
interface Build {
  readonly build: string;
  readonly config: string;
  readonly target: string;
}

const CORE: readonly Build[] = [
  { build: "core", config: "asconfig.json", target: "release" },
  { build: "core.scalar", config: "asconfig.json", target: "scalar" },
  { build: "core.asserts", config: "asconfig.json", target: "asserts" },
];
const ALLOCATOR: readonly Build[] = [
  { build: "alloc", config: "asconfig.alloc.json", target: "release" },
  { build: "alloc.asserts", config: "asconfig.alloc.json", target: "asserts" },
];
const SHARED_POOLS: readonly Build[] = [
  { build: "alloc.shared", config: "asconfig.shared.json", target: "release" },
  { build: "alloc.shared.asserts", config: "asconfig.shared.json", target: "asserts" },
];

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * The functions' names. A release has none, so the same target is built once more with them: where every function is as large as
 * in the release, it is the same one. Otherwise, and without the compiler, only exported functions have a name.
 */
function withNames({ functions }: ModuleSizes, { config, target }: Build): readonly FunctionSize[] {
  const directory = mkdtempSync(join(tmpdir(), "dma-window-names-"));
  try {
    const asc = createRequire(import.meta.url).resolve("assemblyscript/bin/asc.js");
    const file = join(directory, "named.wasm");
    execFileSync(process.execPath, [asc, "--config", config, "--target", target, "--debug", "--outFile", file], {
      cwd: root,
      stdio: "pipe",
    });
    const named = moduleSizes(readFileSync(file)).functions;
    const same = named.length === functions.length && named.every(({ bytes }, i) => bytes === functions[i]?.bytes);
    return same ? named : functions;
  } catch {
    return functions;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function sectionTable(modules: readonly { readonly build: string; readonly sizes: ModuleSizes }[]): string {
  const names = [...new Set(modules.flatMap(({ sizes }) => sizes.sections.map(({ name }) => name)))];
  const cell = (sizes: ModuleSizes, name: string): string => {
    const own = sizes.sections.filter((section) => section.name === name);
    return own.length === 0 ? "" : String(own.reduce((sum, { bytes }) => sum + bytes, 0));
  };
  return textTable(
    ["bytes", ...modules.map(({ build }) => build)],
    [
      ...names.map((name) => [name, ...modules.map(({ sizes }) => cell(sizes, name))]),
      ["the whole file", ...modules.map(({ sizes }) => String(sizes.bytes))],
    ],
  );
}

function functionTable(build: string, functions: readonly FunctionSize[]): string {
  const largest = [...functions].sort((a, b) => b.bytes - a.bytes).slice(0, LARGEST);
  return textTable(
    [`${build}: the largest of ${functions.length} functions`, "bytes"],
    largest.map(({ name, bytes }) => [name, String(bytes)]),
  );
}

/** `names`: with the names of functions that are not exported. Every build is made once more for them: some seconds. */
export function coreReport(names: boolean): string {
  return report(CORE, names);
}

/** Of all modules, with the names of functions. */
export function wasmReport(): string {
  return [CORE, ALLOCATOR, SHARED_POOLS].map((builds) => report(builds, true)).join("\n\n");
}

function report(builds: readonly Build[], names: boolean): string {
  const modules = builds.map((each) => ({
    ...each,
    sizes: moduleSizes(readFileSync(join(root, "dist", `${each.build}.wasm`))),
  }));
  return [
    sectionTable(modules),
    ...modules.map((each) => functionTable(each.build, names ? withNames(each.sizes, each) : each.sizes.functions)),
  ].join("\n\n");
}
