/** What is wanted of a package, unpacked. */
import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";

/** Unpacks those files of a package that match one of tar's patterns. @throws Error */
export function unpack(deb: string, into: string, ...patterns: readonly string[]): void {
  mkdirSync(into, { recursive: true });
  const archive = output("dpkg-deb", ["--fsys-tarfile", deb]);
  output("tar", ["-x", "-C", into, "--no-same-owner", "--wildcards", ...patterns], archive);
}

/** What a program prints, as bytes. @throws Error with what it complained of. */
export function output(program: string, args: readonly string[], input?: Uint8Array): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, maxBuffer: 2 ** 31 });
  if (status === 0) return stdout;
  throw new Error(
    `${program} ${args.join(" ")}: ${error?.message ?? stderr.toString().trim().split("\n").slice(-3).join("; ")}`,
  );
}
