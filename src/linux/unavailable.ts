/** Why the native shim cannot be had, told apart by what lies on the disk and by what the loader says. */
import { accessSync, constants, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { compilers, failureIn, installing } from "./build-log.ts";
import { wrongFile } from "./elf.ts";
import { isThere } from "./permitted.ts";
import { builtIn } from "./place.ts";
import { PREBUILT, prebuiltName } from "./prebuilt.ts";

/** One reason, with what to do. `reason` is for programs: it stands in the error's `facts`. */
export interface Problem {
  readonly reason: string;
  /** Sentences. */
  readonly why: string;
  readonly remedy: string;
}

/** No shim lies in the package. `home` is its directory, and `path` where the one for this machine would lie. */
export function noneHere(home: string, path: string): Problem {
  const command = buildCommand(home);
  const failure = lastFailure(home, command);
  if (failure !== undefined) {
    return {
      reason: `build-failed: ${failure.reason}`,
      why: `There is none, no ${path}, and building one has failed: ${failure.why}.`,
      remedy: failure.remedy,
    };
  }
  if (isThere(join(home, "build"))) {
    return {
      reason: "build-unfinished",
      why: `Its build was begun and not ended: no ${builtIn(home)}, and no log.`,
      remedy: `Run it again: ${command}.`,
    };
  }
  const compiler = `It takes a C++ compiler (${installing(compilers)}). Build it: ${command}.`;
  const allowed = mayWrite(home) ? "" : ` (This user may not write to ${home}: whoever owns it builds.)`;
  const remedy = `${compiler}${allowed}`;
  if (isCheckout(home)) return { reason: "not-built", why: `It has not been built: no ${builtIn(home)}.`, remedy };
  if (prebuiltName() === undefined) {
    const why = `The package has prebuilt ones for ${PREBUILT.join(", ")}, and this Node is ${process.arch}.`;
    return { reason: "not-prebuilt", why, remedy };
  }
  const why =
    `${path} is not there, though the package brings it: it was not installed as a whole, or was packed with its scripts left out ` +
    "(npm pack --ignore-scripts).";
  return { reason: "prebuilt-missing", why, remedy: `Install dma-window again. Or: ${lowerFirst(remedy)}` };
}

/** What the log says of the last build, which failed. A shim of an earlier build may be there all the same. */
function lastFailure(home: string, command: string): Problem | undefined {
  const log = join(home, "build/shim-build.log");
  if (!isThere(log)) return undefined;
  const { reason, why, remedy } = failureIn(textOf(log));
  return { reason, why, remedy: `To mend it, ${remedy}. Then run: ${command}. What the build printed is in ${log}.` };
}

/** The one command, whoever installed the package, and wherever it is run. */
function buildCommand(home: string): string {
  return `node ${join(home, "shim/build.mjs")}`;
}

/** A file that was named is not there. `by` is who named it. */
export function notThere(path: string, by: string): Problem {
  return {
    reason: "not-there",
    why: `${by} names ${path}, which does not exist.`,
    remedy: `Let ${by} name a shim that was built for this machine, or unset it.`,
  };
}

/** The permission model hides the file at `path`. `allowed` is what has to be allowed for the shim: a file, or a directory with all in it. */
export function permissionDenied(path: string, allowed: string): Problem {
  return {
    reason: "not-permitted",
    why: `Node's permission model does not let this program read ${path}.`,
    remedy: `${startWith(allowed)}.`,
  };
}

/** It hides what would say that this module is the package's. That may be none: the program may be a bundle. */
export function packageHidden(path: string): Problem {
  return {
    reason: "not-permitted",
    why: `Node's permission model does not let this program read ${path}, so where dma-window lies is not known.`,
    remedy: `${startWith("DIRECTORY")}, where DIRECTORY is dma-window's. A program that was bundled may hand the addon over instead: linuxKernel({ shim: path }).`,
  };
}

/** The facts of a machine are read by Node, and are under the model like any other file; devices are opened by the shim. */
function startWith(allowed: string): string {
  const options = [allowed, "/proc", "/sys"].map((path) => `--allow-fs-read=${path}`).join(" ");
  return `Start node with ${options} --allow-addons, and know that native code is beyond that model`;
}

/** The file is there, and the engine does not load it. `home` is given where it is the package's own. */
export function notLoaded(path: string, cause: unknown, home: string | undefined): Problem {
  const message = cause instanceof Error ? cause.message : String(cause);
  const code = (cause as { code?: unknown } | null)?.code;
  const found: Found = addonsDisabled(code, message) ??
    wrongFile(path) ??
    loaderSays(message) ?? { reason: "not-loaded", why: "" };
  const because = found.why === "" ? "" : ` ${capitalised(found.why)}.`;
  const again = home === undefined ? "Let it name a file that was built for this machine." : buildHere(home);
  return {
    reason: found.reason,
    why: `${path} cannot be loaded on this machine (${process.arch}): ${message.trim().replace(/\.$/, "")}.${because}`,
    remedy: found.remedy ?? again,
  };
}

/** The file is there, and ends too early: `why` says where. It is not even tried. */
export function notWhole(path: string, why: string, home: string | undefined): Problem {
  return {
    reason: "damaged",
    why: `${path} is cut off: ${why}.`,
    remedy: home === undefined ? "Let it name a whole file." : buildHere(home),
  };
}

/** The package's own file is not what the package lists: `why` says how it differs. It is not even tried. */
export function damaged(path: string, why: string, home: string): Problem {
  return { reason: "damaged", why: `${path} is not the one that was published: ${why}.`, remedy: buildHere(home) };
}

/** It loads, and has not all that this version of the package needs. */
export function otherVersion(path: string, absent: readonly string[], home: string | undefined): Problem {
  return {
    reason: "other-version",
    why: `${path} is the shim of another version: it has no ${absent.join(", ")}.`,
    remedy: home === undefined ? "Let DMA_WINDOW_SHIM name this version's, or unset it." : buildHere(home),
  };
}

function buildHere(home: string): string {
  const command = buildCommand(home);
  const failure = lastFailure(home, command);
  if (failure !== undefined) return `It is an earlier build's; the last one failed: ${failure.why}. ${failure.remedy}`;
  return `Build it here: ${command}. (node_modules that was copied from another machine, or from outside of a container, is that machine's.)`;
}

type Found = Pick<Problem, "reason" | "why"> & Partial<Pick<Problem, "remedy">>;

/** `src/node_binding.cc: ERR_DLOPEN_DISABLED`; Deno and the permission model ask for a flag of their own. */
function addonsDisabled(code: unknown, message: string): Found | undefined {
  if (/ffi access/i.test(message) || (code === "ERR_DLOPEN_DISABLED" && "Deno" in globalThis)) {
    return {
      reason: "addons-disabled",
      why: "Deno lets a program load native code only where it is told to",
      remedy:
        "Native code is beyond Deno's permissions; where that is meant, start with --allow-ffi, --allow-read and --allow-env.",
    };
  }
  if (code !== "ERR_DLOPEN_DISABLED" && !/addons is disabled/.test(message)) return undefined;
  const { permission } = process as { permission?: unknown };
  return permission === undefined
    ? {
        reason: "addons-disabled",
        why: "this Node was started with --no-addons, which keeps native code out of the process",
        remedy: "Where that is not meant, start it without (see NODE_OPTIONS too).",
      }
    : {
        reason: "addons-disabled",
        why: "the permission model (--permission) holds JavaScript, and native code is beyond it, so it loads none",
        remedy: "Where that is meant, start node with --allow-addons too.",
      };
}

const loaderSigns: readonly (readonly [RegExp, string, string])[] = [
  [/GLIBC_[\d.]+'? not found/, "wrong-libc", "it was built against a newer glibc than this machine has"],
  [
    /GLIBCXX_[\d.]+'?|CXXABI_[\d.]+'? not found/,
    "wrong-libc",
    "it was built with a newer C++ library than this machine has",
  ],
  [/libc\.musl|ld-musl/, "wrong-libc", "it was built for musl (Alpine), and this Node is glibc's"],
  [
    /ld-linux|libc\.so\.6|Error relocating|__\w+_chk: symbol not found/,
    "wrong-libc",
    "it was built for glibc, and this Node is musl's (Alpine)",
  ],
  [
    /libstdc\+\+\.so|libgcc_s\.so/,
    "no-library",
    "the C++ library is missing: apt-get install libstdc++6, or apk add libstdc++",
  ],
  [
    /undefined symbol: napi_|symbol not found.*napi_|NODE_MODULE_VERSION|Node-API version/,
    "other-node-api",
    "it was built for a Node with a later Node-API",
  ],
  [/undefined symbol|did not self-register|register/, "damaged", "it is no addon of Node-API, or only a part of one"],
  [
    /failed to map segment|Operation not permitted|noexec/,
    "no-execution",
    "nothing may run from that file system (noexec), or a security policy forbids it",
  ],
  [/Permission denied|EACCES/, "not-readable", "this user may not read the file"],
  [/Cannot allocate memory|static TLS/, "no-memory", "the process has no room for it (ulimit -v)"],
  [/file too short|invalid ELF header|ELF load command|section header/, "damaged", "the file is damaged, or not whole"],
  [/wrong ELF class|Exec format error/, "wrong-machine", "it was built for another kind of machine"],
];

function loaderSays(message: string): Found | undefined {
  const found = loaderSigns.find(([sign]) => sign.test(message));
  return found && { reason: found[1], why: found[2] };
}

/** By this user, and on this file system: it may be mounted read-only. */
function mayWrite(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** What the core is compiled with is in no published package. */
function isCheckout(home: string): boolean {
  return isThere(join(home, "asconfig.json"));
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
