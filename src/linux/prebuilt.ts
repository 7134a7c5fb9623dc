/**
 * The shims that the package brings, made by tools/prebuild.mjs: one for each architecture, for glibc and musl alike. Their sums lie
 * beside them, and what has another one is not loaded: native code that was damaged may do anything.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { endianness } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { isThere } from "./permitted.ts";

/** Their directories, by what Node calls an architecture. */
const directories: Readonly<Record<string, string>> = {
  x64: "linux-x64",
  arm64: "linux-arm64",
  ppc64: "linux-ppc64le",
};

/** The architectures that there are shims for. */
export const PREBUILT: readonly string[] = ["x64", "arm64", "ppc64le"];

/** In prebuilds/, that of this machine's architecture; `undefined` where none is made for it. All of them are little-endian. */
export function prebuiltName(): string | undefined {
  const directory = endianness() === "LE" ? directories[process.arch] : undefined;
  return directory && `${directory}/vfio_shim.node`;
}

/** Where it has to lie in the package whose directory is `home`, there or not. */
export function prebuiltIn(home: string): string | undefined {
  const name = prebuiltName();
  return name && join(home, "prebuilds", name);
}

/** The list of their sums. */
export function sumsIn(home: string): string {
  return join(home, "prebuilds/SHA256SUMS");
}

/** Why the prebuilt shim in `home` is not the one that the package lists; `undefined` where it is. Never throws. */
export function notAsListed(home: string): string | undefined {
  const name = prebuiltName() ?? "";
  const list = sumsIn(home);
  if (!isThere(list)) return `there is no ${list}, which has its sum`;
  try {
    const sum = createHash("sha256")
      .update(readFileSync(join(home, "prebuilds", name)))
      .digest("hex");
    const lines = readFileSync(list, "utf8").split("\n");
    return lines.includes(`${sum}  ${name}`) ? undefined : `its SHA-256 is ${sum}, and ${list} says otherwise`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
