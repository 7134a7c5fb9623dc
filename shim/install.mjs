// The install step: builds the shim, and never fails. Without the shim everything but the real kernel works (the
// software kernel, the planner, the core, the CLI), so a machine without a compiler is told so and goes on.
//
//     build/fresh-x/              the sources and node-gyp's own build/, gone at the end
//     build/Release/              the shim: replaced by one rename, when the new one is whole
//     build/shim-install.log      why the last build failed; gone when one succeeds
//
// npm runs this for install, ci and rebuild: it may find a shim that works and a machine that cannot build another.

import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = join(root, "build");
const addon = join(build, "Release", "vfio_shim.node");
const log = join(build, "shim-install.log");
const logLines = 200;

if (process.env.DMA_WINDOW_SKIP_SHIM === "1") {
  console.log(
    "dma-window: DMA_WINDOW_SKIP_SHIM=1, so the native shim is not built; the software kernel works without it.",
  );
} else if (process.platform !== "linux") {
  explain(`The native shim is for Linux only, and this is ${process.platform}.`);
} else {
  const fault = compile();
  if (fault) {
    explain(
      fault.why,
      "To build it (on Debian): apt-get install g++ make python3, then: npm rebuild dma-window",
      "  (on Alpine: apk add g++ make python3 linux-headers; in a checkout of dma-window itself: npm run install).",
      leaveLog(fault),
    );
  }
}

/** Returns nothing when the shim was built, otherwise why not and what the build printed. */
function compile() {
  let fresh;
  try {
    mkdirSync(build, { recursive: true });
    // Within the package, where node-addon-api is found from; and apart, since node-gyp begins with removing its build/.
    fresh = mkdtempSync(join(build, "fresh-"));
    for (const part of ["binding.gyp", "shim"]) cpSync(join(root, part), join(fresh, part), { recursive: true });
    return compileIn(fresh);
  } catch (error) {
    return { why: `The native shim was not built: ${error.message}.`, output: "" };
  } finally {
    if (fresh) rmSync(fresh, { recursive: true, force: true });
  }
}

function compileIn(fresh) {
  const { command, first } = nodeGyp();
  const headers = headersBesideNode();
  const options = headers ? [`--nodedir=${headers}`] : [];
  const { error, status, signal, stdout, stderr } = spawnSync(command, [...first, "rebuild", ...options], {
    cwd: fresh,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 << 20,
  });
  const output = `${stdout ?? ""}${stderr ?? ""}${error ? `${error.message}\n` : ""}`;
  if (error?.code === "ENOENT") return { why: "The native shim was not built: there is no node-gyp.", output };
  if (error) return { why: `The native shim was not built: ${error.message}.`, output };
  if (signal) return { why: `The native shim was not built: node-gyp was ended by ${signal}.`, output };
  if (status !== 0) return { why: "The native shim was not built: node-gyp failed.", output };
  const built = join(fresh, "build", "Release", "vfio_shim.node");
  if (!existsSync(built)) return { why: "The native shim was not built: node-gyp left none.", output };
  putInPlace(built);
  return undefined;
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

/** Our own node-gyp in a checkout; for a dependency npm's, which it names in the environment and puts on PATH. */
function nodeGyp() {
  try {
    return { command: process.execPath, first: [createRequire(import.meta.url).resolve("node-gyp/bin/node-gyp.js")] };
  } catch {
    const npms = process.env.npm_config_node_gyp;
    if (npms && existsSync(npms)) return { command: process.execPath, first: [npms] };
    return { command: "node-gyp", first: [] };
  }
}

/**
 * The directory whose include/node belongs to this node, when it was installed with its headers: then node-gyp has
 * nothing to download. Undefined when the user chose one, or there is none of this version.
 */
function headersBesideNode() {
  if (process.env.npm_config_nodedir) return undefined;
  const prefix = dirname(dirname(process.execPath));
  try {
    const text = readFileSync(join(prefix, "include", "node", "node_version.h"), "utf8");
    const version = ["MAJOR", "MINOR", "PATCH"].map((part) => text.match(`#define NODE_${part}_VERSION (\\d+)`)?.[1]);
    return version.join(".") === process.versions.node ? prefix : undefined;
  } catch {
    return undefined;
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
    return "The end of the build's log is in build/shim-install.log.";
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
        : "Without it linuxKernel() cannot reach VFIO: its first system call throws ERR_SHIM_UNAVAILABLE.",
      "Everything else works: modelKernel(), planning, the core, and the command line on the software kernel.",
      ...whatToDo,
    ].join("\n  "),
  );
}
