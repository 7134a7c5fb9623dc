// Builds the shim for this machine, where no prebuilt one suits it. It takes a C++17 compiler, and nothing else.
//
//     node shim/build.mjs                                in a checkout (npm run build:shim)
//     node node_modules/dma-window/shim/build.mjs        in a project that uses dma-window
//
//     build/fresh-x/              what is being built, gone at the end
//     build/Release/              the shim: replaced by one rename, when the new one is whole
//     build/shim-build.log        why the last build failed; gone when one succeeds
//
// The compiler is the first of g++, c++, clang++ that is there, or what CXX says; CXXFLAGS are handed on. In a package the sources and
// the headers of Node-API lie in one archive, prebuilds/sources.tar.gz.

import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compileShim, headersOf } from "./compile.mjs";

const self = fileURLToPath(import.meta.url);
const root = dirname(dirname(self));
const build = join(root, "build");
const addon = join(build, "Release", "vfio_shim.node");
const log = join(build, "shim-build.log");
const logLines = 200;

/** Whether there is a new shim. What became of it is on the terminal then. Never throws. */
export function buildShim() {
  if (process.platform !== "linux") {
    explain(`The native shim is for Linux only, and this is ${process.platform}.`);
    return false;
  }
  const fault = compile();
  if (fault === undefined) return true;
  explain(
    fault.why,
    `To build it, a C++ compiler (on Debian: apt-get install g++; on Alpine: apk add g++ linux-headers), then: node ${self}`,
    leaveLog(fault),
  );
  return false;
}

/** Returns nothing when the shim was built, otherwise why not and what the build printed. */
function compile() {
  let fresh;
  try {
    mkdirSync(build, { recursive: true });
    fresh = mkdtempSync(join(build, "fresh-"));
    const compiler = compilerHere();
    if (compiler === undefined) return failure("there is no C++ compiler (g++, c++, clang++)", "");
    const output = join(fresh, "vfio_shim.node");
    const flags = (process.env.CXXFLAGS ?? "").split(/\s+/).filter((word) => word !== "");
    const { why, said } = compileShim({ compiler, ...sources(fresh), output, more: flags });
    if (why !== undefined) return failure(why, said);
    putInPlace(output);
    return undefined;
  } catch (error) {
    return failure(error.message, "");
  } finally {
    if (fresh) rmSync(fresh, { recursive: true, force: true });
  }
}

const failure = (why, output) => ({ why: `The native shim was not built: ${why}.`, output });

function compilerHere() {
  if (process.env.CXX) return process.env.CXX;
  const path = (process.env.PATH ?? "").split(delimiter);
  return ["g++", "c++", "clang++"].find((name) => path.some((directory) => existsSync(join(directory, name))));
}

/** Those of a checkout, or out of the package's archive. */
function sources(fresh) {
  if (existsSync(join(root, "shim/vfio_shim.cc"))) return { directory: join(root, "shim"), headers: headersOf(root) };
  const archive = join(root, "prebuilds/sources.tar.gz");
  const { status, error, stderr } = spawnSync("tar", ["-xzf", archive, "-C", fresh], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${archive} cannot be unpacked: ${error?.message ?? stderr.trim()}`);
  return { directory: join(fresh, "shim"), headers: [join(fresh, "include")] };
}

/** By a rename: a program that has the former shim loaded keeps it, and one that starts now finds one of the two. */
function putInPlace(built) {
  mkdirSync(dirname(addon), { recursive: true });
  renameSync(built, addon);
  // The log of a failure that is over, and what is left of builds that were ended in the middle.
  for (const name of readdirSync(build)) {
    if (name !== "Release") rmSync(join(build, name), { recursive: true, force: true });
  }
}

/**
 * Leaves why the build failed and the end of what it printed: ERR_SHIM_UNAVAILABLE tells the cause from it. A shim that is there
 * stays: it may well work, and where it is another version's or another machine's, the same error names this log.
 * Returns the sentence that says where that is.
 */
function leaveLog({ why, output }) {
  try {
    mkdirSync(build, { recursive: true });
    const { version, arch } = process;
    const printed = output.trimEnd().split("\n").slice(-logLines);
    writeFileSync(log, `${[`${why} (Node ${version}, ${arch})`, ...printed].join("\n")}\n`);
    return `The end of what the compiler said is in ${log}.`;
  } catch (error) {
    return `The build directory cannot be written either: ${error.message}.`;
  }
}

/** One short message. */
function explain(why, ...whatToDo) {
  console.warn(
    [
      `dma-window: ${why}`,
      existsSync(addon)
        ? "The shim of an earlier build stays in place; where it does not suit, the first system call throws ERR_SHIM_UNAVAILABLE."
        : "Where no prebuilt one suits this machine, the first system call of linuxKernel() throws ERR_SHIM_UNAVAILABLE.",
      "Everything else works: modelKernel(), planning, the core, and the command line on the software kernel.",
      ...whatToDo,
    ].join("\n  "),
  );
}

if (process.argv[1] && realpathSync(process.argv[1]) === self) {
  if (buildShim()) console.log(`dma-window: built ${addon}`);
  else process.exitCode = 1;
}
