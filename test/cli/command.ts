/** The command as a user has it: built, in a process of its own. */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The environment of a machine on which the native shim was never built. */
export const WITHOUT_SHIM = { DMA_WINDOW_SHIM: "/nonexistent.node" };

/** What the command printed, and how it ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly env?: Readonly<Record<string, string>>;
  /** The directory of the package. */
  readonly where?: string;
  readonly uid?: number;
}

/** Runs `dma-window ARGS`. The words are split at blanks. */
export function dmaWindow(args: string, { env = {}, where = root, uid }: Surroundings = {}): Ended {
  const child: SpawnSyncReturns<string> = spawnSync(
    process.execPath,
    [join(where, "lib/cli/main.js"), ...args.split(" ").filter((word) => word !== "")],
    {
      cwd: where,
      encoding: "utf8",
      env: { ...process.env, DMA_WINDOW_SHIM: "", ...env },
      ...(uid === undefined ? {} : { uid, gid: uid }),
    },
  );
  if (child.error) throw child.error;
  return { code: child.status, out: child.stdout, err: child.stderr };
}

/** The same behind what stands before it in a shell, as `cat FILE | `; without that `input` comes through a socket. */
export function dmaWindowIn(shell: string, args: string, input: Uint8Array): Ended {
  const script = `${shell}'${process.execPath}' '${join(root, "lib/cli/main.js")}' ${args}`;
  const { status, stdout, stderr } = spawnSync("sh", ["-c", script], { cwd: root, encoding: "utf8", input });
  return { code: status, out: stdout, err: stderr };
}

/** A copy of the built package that any user may read, wherever the checkout lies. Whoever asks for it removes it. */
export function readableByAll(): string {
  const copy = mkdtempSync(join(tmpdir(), "dma-window-"));
  mkdirSync(join(copy, "build/Release"), { recursive: true });
  for (const part of ["package.json", "dist", "lib", "build/Release/vfio_shim.node"]) {
    // Where no compiler is, there is no shim.
    if (existsSync(join(root, part))) cpSync(join(root, part), join(copy, part), { recursive: true });
  }
  chmodSync(copy, 0o755);
  return copy;
}

/** What was said on stderr besides the progress of a storm that took long on this machine. */
export function withoutProgress(err: string): string {
  return err.replaceAll(/^storm, .*\n/gm, "");
}
