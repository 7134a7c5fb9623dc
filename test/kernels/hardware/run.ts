/** One part on a machine that is somebody's: it ends in time with all that it started, and the nodes are whose they were. */
import { spawn } from "node:child_process";
import { chmodSync, chownSync, statSync } from "node:fs";
import { Lines } from "../console.ts";

/** What a shell calls the end by SIGKILL. */
const KILLED = 137;

/** How long to wait for the last words of what was started by what was killed. */
const GRACE_MS = 1_000;

export interface RunOptions {
  readonly seconds: number;
  readonly env: NodeJS.ProcessEnv;
  /** Hears both streams, line by line. */
  readonly line: (text: string) => void;
  readonly aborted: AbortSignal;
}

/**
 * Runs a program; gives its exit code, or 137 when it was killed because its time was over or `aborted` says so. It has a
 * process group of its own, of which nothing is left afterwards, however it ended.
 */
export function runPart(
  command: string,
  args: readonly string[],
  { seconds, env, line, aborted }: RunOptions,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
    let killed = false;
    const kill = () => {
      killed = true;
      endGroup(child.pid);
    };
    const clock = setTimeout(kill, seconds * 1000);
    aborted.addEventListener("abort", kill);
    if (aborted.aborted) kill();
    const streams = [child.stdout, child.stderr].map((stream) => {
      const lines = new Lines(line);
      stream.on("data", (bytes: Uint8Array) => lines.write(bytes));
      return lines;
    });
    child.on("error", reject);
    // What it started may hold its streams open for ever, so they are not waited for: they are ended. Linux gives process
    // numbers in turn, so this one is nobody else's yet.
    child.on("exit", () => {
      clearTimeout(clock);
      endGroup(child.pid);
      setTimeout(() => [child.stdout, child.stderr].map((stream) => stream.destroy()), GRACE_MS).unref();
    });
    child.on("close", (status) => {
      aborted.removeEventListener("abort", kill);
      for (const lines of streams) lines.end();
      resolve(killed || status === null ? KILLED : status);
    });
  });
}

/** Kills every process of a group that is still there. */
function endGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // Nobody is left.
  }
}

/**
 * Remembers whose nodes are; what comes back makes them so again, where they are not. A part that is killed while it lends a
 * node cannot do that itself.
 */
export function ownersOf(nodes: readonly string[]): () => void {
  const before = nodes.map((node) => ({ node, stat: statSync(node) }));
  return () => {
    for (const { node, stat } of before) {
      const now = statSync(node, { throwIfNoEntry: false });
      if (now === undefined) continue; // its owner has unbound the device
      if (now.uid !== stat.uid || now.gid !== stat.gid) chownSync(node, stat.uid, stat.gid);
      if (now.mode !== stat.mode) chmodSync(node, stat.mode & 0o7777);
    }
  };
}
