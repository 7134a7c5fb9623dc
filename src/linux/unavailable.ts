/** Why the native shim cannot be had, told apart by what lies on the disk and by what the loader says. */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { failureIn } from "./build-log.ts";
import { wrongFile } from "./elf.ts";
import { approval, installationOf, rebuild, runWithScripts, scriptsAreOff } from "./package-manager.ts";

/** One reason, with what to do. `reason` is for programs: it stands in the error's `facts`. */
export interface Problem {
  readonly reason: string;
  /** Sentences. */
  readonly why: string;
  readonly remedy: string;
}

/** What a guard is for comes before how it is lowered. */
const SCRIPTS_GUARD =
  "That keeps packages from running programs when they are installed; ours is shim/install.mjs, which builds the shim and does nothing else.";

/** The file that installing the package builds is not there. `home` is the package's directory. */
export function notBuilt(home: string, path: string): Problem {
  const again = howToBuild(home);
  const failure = lastFailure(home, again);
  if (failure !== undefined) {
    return {
      reason: `build-failed: ${failure.reason}`,
      why: `It has not been built, no ${path}: ${failure.why}.`,
      remedy: failure.remedy,
    };
  }
  if (existsSync(join(home, "build"))) {
    return {
      reason: "build-unfinished",
      why: `Its build was begun and not ended: no ${path}, and no log.`,
      remedy: `Run it again: ${again}.`,
    };
  }
  return scriptNeverRan(home, path, again);
}

/** What the log says of the last build, which failed. A shim of an earlier build may be there all the same. */
function lastFailure(home: string, again: string): Problem | undefined {
  const log = join(home, "build/shim-install.log");
  if (!existsSync(log)) return undefined;
  const { reason, why, remedy } = failureIn(textOf(log));
  return { reason, why, remedy: `To mend it, ${remedy}. Then run: ${again}. What the build printed is in ${log}.` };
}

function howToBuild(home: string): string {
  return isCheckout(home) ? "npm run install" : rebuild(installationOf(home));
}

function scriptNeverRan(home: string, path: string, again: string): Problem {
  const none = `It has not been built: no ${path}, and no log, so the package's install script never ran`;
  const why = mayWrite(home)
    ? none
    : `${none}, or could build nothing and leave no log, since this user may not write to ${home} (whoever owns it builds)`;
  const compiler =
    "It takes a compiler (on Debian: apt-get install g++ make python3; on Alpine: apk add g++ make python3 linux-headers).";
  if (isCheckout(home)) {
    return { reason: "script-not-run", why: `${why}.`, remedy: `${compiler} Run it: ${again}.` };
  }
  const installation = installationOf(home);
  const off = scriptsAreOff(installation);
  const who = installation.manager === "yarn 1" ? "yarn" : installation.manager;
  const plainly = runWithScripts(installation);
  const remedy = off
    ? `${SCRIPTS_GUARD} To let it run: ${plainly}.`
    : `${SCRIPTS_GUARD} To approve it: ${approval(installation)}. (Where it was left out by --ignore-scripts or ` +
      `DMA_WINDOW_SKIP_SHIM=1: ${plainly}.)`;
  return {
    reason: "script-not-run",
    why: off
      ? `${why}: ${off}.`
      : `${why}: ${who} leaves out the install scripts of dependencies unless they are approved.`,
    remedy: `${remedy} ${compiler}`,
  };
}

/** A file that was named is not there. `by` is who named it. */
export function notThere(path: string, by: string): Problem {
  return {
    reason: "not-there",
    why: `${by} names ${path}, which does not exist.`,
    remedy: `Let ${by} name a shim that was built for this machine, or unset it.`,
  };
}

/** The permission model hides files: "not there" would be a lie. */
export function mayNotRead(path: string): boolean {
  const { permission } = process as { permission?: { has(scope: string, reference?: string): boolean } };
  return permission !== undefined && !permission.has("fs.read", path);
}

export function permissionDenied(path: string): Problem {
  return {
    reason: "not-permitted",
    why: `Node's permission model does not let this program read ${path}.`,
    remedy: `Start node with --allow-fs-read=${path} and --allow-addons; know that native code is beyond that model.`,
  };
}

/** The file is there, and the engine does not load it. `home` is given where it is the one that installing built. */
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

/** It loads, and has not all that this version of the package needs. */
export function otherVersion(path: string, absent: readonly string[], home: string | undefined): Problem {
  return {
    reason: "other-version",
    why: `${path} is the shim of another version: it has no ${absent.join(", ")}.`,
    remedy: home === undefined ? "Let DMA_WINDOW_SHIM name this version's, or unset it." : buildHere(home),
  };
}

function buildHere(home: string): string {
  const again = howToBuild(home);
  const failure = lastFailure(home, again);
  if (failure !== undefined) return `It is an earlier build's; the last one failed: ${failure.why}. ${failure.remedy}`;
  return `Build it here: ${again}. (node_modules that was copied from another machine, or from outside of a container, is that machine's.)`;
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
  return existsSync(join(home, "asconfig.json"));
}

function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
