// The install step: builds the shim, and never fails. Without the shim everything but the real kernel works (the
// software kernel, the planner, the core, the CLI), so a machine without a compiler is told so and goes on.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const build = join(root, "build");
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
  const { command, first } = nodeGyp();
  const headers = headersBesideNode();
  const options = headers ? [`--nodedir=${headers}`] : [];
  const { error, status, signal, stdout, stderr } = spawnSync(command, [...first, "rebuild", ...options], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 << 20,
  });
  const output = `${stdout ?? ""}${stderr ?? ""}${error ? `${error.message}\n` : ""}`;
  if (error?.code === "ENOENT") return { why: "The native shim was not built: there is no node-gyp.", output };
  if (error) return { why: `The native shim was not built: ${error.message}.`, output };
  if (signal) return { why: `The native shim was not built: node-gyp was ended by ${signal}.`, output };
  if (status !== 0) return { why: "The native shim was not built: node-gyp failed.", output };
  if (!existsSync(join(build, "Release", "vfio_shim.node"))) {
    return { why: "The native shim was not built: node-gyp left none.", output };
  }
  return undefined;
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
 * Leaves nothing of the build but why it failed and the end of what it printed: ERR_SHIM_UNAVAILABLE tells the cause from it.
 * Returns the sentence that says where that is.
 */
function leaveLog({ why, output }) {
  try {
    // Half a build could be loaded by mistake, and an older one would hide that this one failed.
    rmSync(build, { recursive: true, force: true });
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
      "Without it linuxKernel() cannot reach VFIO: its first system call throws ERR_SHIM_UNAVAILABLE.",
      "Everything else works: modelKernel(), planning, the core, and the command line on the software kernel.",
      ...whatToDo,
    ].join("\n  "),
  );
}
