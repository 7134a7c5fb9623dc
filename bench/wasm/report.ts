/**
 * Where the core's bytes go: the sections of each build, and its largest functions.
 *
 *     npm run wasm:report
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Build, coreFile } from "../../test/support/core-files.ts";
import { textTable } from "../harness/table.ts";
import { type FunctionSize, type ModuleSizes, moduleSizes } from "./sections.ts";

const LARGEST = 20;
const BUILDS: readonly { readonly build: Build; readonly target: string }[] = [
  { build: "core", target: "release" },
  { build: "core.scalar", target: "scalar" },
  { build: "core.asserts", target: "asserts" },
];

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * The functions' names. A release has none, so the same target is built once more with them: where every function is as large as
 * in the release, it is the same one. Otherwise, and without the compiler, only exported functions have a name.
 */
function withNames({ functions }: ModuleSizes, target: string): readonly FunctionSize[] {
  const directory = mkdtempSync(join(tmpdir(), "dma-window-names-"));
  try {
    const asc = createRequire(import.meta.url).resolve("assemblyscript/bin/asc.js");
    const file = join(directory, "named.wasm");
    execFileSync(process.execPath, [asc, "--target", target, "--debug", "--outFile", file], {
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
  const modules = BUILDS.map(({ build, target }) => ({ build, target, sizes: moduleSizes(coreFile(build)) }));
  return [
    sectionTable(modules),
    ...modules.map(({ build, target, sizes }) =>
      functionTable(build, names ? withNames(sizes, target) : sizes.functions),
    ),
  ].join("\n\n");
}
