// Makes lib/ of dist/: what is published. dist/ has each source file by itself, for the tests and for whoever works here; a package of
// that has three times the bytes, and a thousand files.
//
//     lib/index.js, core.js, ...    the entry points that package.json exports, and the command, each with what it alone needs
//     lib/chunks/                   what several of them need
//     lib/index.d.ts, ...           what of the declarations the entry points lead to, with its documentation

import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** In dist/ and in lib/, without their endings. */
const entries = ["index", "core", "model/index", "trace/index"];
const commands = ["cli/main"];

/** The packages that do it. They are loaded only here: a checkout that has them not can be told so. */
export const makers = ["esbuild", "rollup", "rollup-plugin-dts"];

/** @throws Error that says why not */
export async function makeLib(dist, lib) {
  await bundleCode(dist, lib);
  await bundleDeclarations(dist, lib);
}

async function bundleCode(dist, lib) {
  const { build, transform } = await import("esbuild");
  const common = { format: "esm", target: "node20.19", charset: "utf8", minify: true, legalComments: "none" };
  const { outputFiles } = await build({
    ...common,
    absWorkingDir: dist,
    entryPoints: [...entries, ...commands].map((name) => `${name}.js`),
    outdir: lib,
    bundle: true,
    splitting: true,
    chunkNames: "chunks/[hash]",
    platform: "node",
    plugins: [leaveExecOut, markClasses],
    write: false,
    logLevel: "error",
  });
  for (const { path, text } of outputFiles) {
    // An error that nobody catches is shown with its line. While it bundles, esbuild counts the columns of each source by itself.
    const { code } = await transform(text, { ...common, lineLimit: 160 });
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, withClassNames(code));
  }
}

/** `dma-window exec` is a checkout's: the package has no room for it, and says where it is. */
const leaveExecOut = {
  name: "leave-exec-out",
  setup(build) {
    build.onResolve({ filter: /^\.\/exec\.js$/ }, ({ importer, resolveDir }) =>
      importer.endsWith("/cli/main.js") ? { path: join(resolveDir, "exec-elsewhere.js") } : undefined,
    );
  },
};

/**
 * Classes keep their names, for stacks and for console.log: each says its own in its first line, in the way of a block that esbuild
 * leaves alone. Those of functions would take 40 KB: an error says in its message, its code and its facts what was refused.
 */
const markClasses = {
  name: "mark-classes",
  setup(build) {
    build.onLoad({ filter: /\.js$/ }, ({ path }) => {
      const mark = (line, name) => `${line} static { "class-name".${name}; }`;
      const text = readFileSync(path, "utf8");
      return { contents: text.replace(/^export (?:abstract )?class (\w+)[^\n]* \{$/gm, mark), loader: "js" };
    });
  },
};

/**
 * What was marked becomes the name of the class within itself: there all else that is not a global is one to three letters long. One that
 * speaks of itself has such a name already, and is told its own. A class begins a line, and so does a variable: esbuild counts
 * columns from there.
 */
function withClassNames(code) {
  const marked = /([\w$]+)=class( [\w$]+)??( extends [\w$]+)?\{\s*static\{\s*"class-name"\s*\.\s*(\w+)\s*;?\}/g;
  const named = code.replace(marked, (_, variable, own = "", parent = "", name) =>
    own === "" && name.length > 3
      ? `\n${variable}=class ${name}${parent}{`
      : `\n${variable}=class${own}${parent}{static{Object.defineProperty(this,"name",{value:"${name}"})}\n`,
  );
  const lost = /.{0,80}class-name.{0,80}/s.exec(named);
  if (lost) throw new Error(`a class has lost its name: ${lost[0]}`);
  return named.replace(/([;}])(var [\w$]+=|export\{)/g, "$1\n$2");
}

async function bundleDeclarations(dist, lib) {
  const { rollup } = await import("rollup");
  const { dts } = await import("rollup-plugin-dts");
  const input = Object.fromEntries(entries.map((name) => [name, join(dist, `${name}.d.ts`)]));
  const external = /^node:/;
  const refuse = ({ message }) => {
    throw new Error(message);
  };
  const bundle = await rollup({ input, external, plugins: [dts()], onwarn: refuse });
  const chunkFileNames = "chunks/[hash].d.ts";
  const plugins = [{ name: "small", renderChunk: (code) => withTabs(withoutNotes(code)) }];
  await bundle.write({ dir: lib, format: "es", entryFileNames: "[name].d.ts", chunkFileNames, plugins });
  await bundle.close();
  for (const name of entries)
    if (!existsSync(join(lib, `${name}.d.ts`))) throw new Error(`${name} has no declarations`);
}

/** It indents by four spaces. */
const withTabs = (code) => code.replace(/^(?: {4})+/gm, (by) => "\t".repeat(by.length / 4));

/** What a file says of itself, at its beginning, stands before no declaration here: no editor shows it. */
const withoutNotes = (code) =>
  code.replace(/^\/\*\*(?:(?!\*\/)[\s\S])*\*\/\s*(?=\/\*\*|import |export \{|export type \{)/gm, "");
