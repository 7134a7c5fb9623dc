/**
 * Rows in processes of their own: those that need a small RLIMIT_MEMLOCK and no CAP_IPC_LOCK, and those at which the kernel
 * may crash. One process answers several rows with the same limit, as long as none leaves locked memory behind.
 *
 *     runAlone ─── spawns ──> answerRows          ANSWER ["VFIO_IOMMU_MAP_DMA (type1) 3","ENOMEM"]
 *         ^                        │
 *         └────── its lines <──────┘
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { setTimeout } from "node:timers/promises";
import { linuxKernel } from "../../src/linux/index.ts";
import type { Needs } from "./row.ts";
import { answerOf, type Difference, expectedOf, needsOf, type PlacedRow } from "./run-on.ts";
import type { Target } from "./target.ts";

/** Milliseconds for one row, Node's own start in an emulated machine included. */
const PATIENCE = 90_000;

/** Milliseconds between looks at the kernel's log. */
const GLANCE = 2_000;

/** Who has no CAP_IPC_LOCK. */
const NOBODY = 65534;

/** A child's part: answers rows until one leaves locked memory behind, which the next one's limit would count. */
export function answerRows(rows: readonly PlacedRow[], target: Target): void {
  const kernel = linuxKernel();
  for (const placed of rows) {
    console.log(`ANSWER ${JSON.stringify([placed.id, answerOf(placed, target)])}`);
    if (kernel.lockedMemory().used !== 0n) return;
  }
}

/**
 * Runs rows, each under its limit, if it has one, and reports every difference in a line. `again` starts this program as it
 * was started.
 */
export async function runAlone(
  rows: readonly PlacedRow[],
  target: Target,
  again: readonly string[],
  report: (line: string) => void,
): Promise<Difference[]> {
  const answers = await answersOf(rows, target, again);
  const differences: Difference[] = [];
  for (const placed of rows) {
    const { id, row } = placed;
    const [situation] = row;
    const { answer: expected, orCrash } = expectedOf(placed, target);
    const { words: got, unanswered } = answers.get(id) ?? { words: "nothing", unanswered: true };
    if (got === expected || (got === "Oops" && orCrash)) continue;
    report(`different: ${id} (${situation}): expected "${expected}", got "${got}"`);
    differences.push({ id, situation, expected, got, ...(unanswered && { unanswered }) });
  }
  return differences;
}

interface Answer {
  /** The row's answer, or what became of its process. */
  readonly words: string;
  readonly unanswered?: true;
}

async function answersOf(
  rows: readonly PlacedRow[],
  target: Target,
  again: readonly string[],
): Promise<Map<string, Answer>> {
  const answers = new Map<string, Answer>();
  for (const group of together(rows, target)) {
    let left = group;
    while (left.length > 0) {
      const before = left.length;
      const { said, how } = await ask(left, target, again);
      for (const [, answer = ""] of said.matchAll(/^ANSWER (.*)$/gm)) {
        const [id, words] = JSON.parse(answer) as [string, string];
        answers.set(id, { words });
      }
      left = left.filter(({ id }) => !answers.has(id));
      const [first] = left;
      if (left.length < before || first === undefined) continue;
      const crashed = needsOf(first.row).reboot && kernelCrashed();
      answers.set(first.id, crashed ? { words: "Oops" } : { words: `${how}: ${said}`, unanswered: true });
      left = left.slice(1);
    }
  }
  return answers;
}

/** Rows with one limit are asked together; a row that harms the kernel is asked alone. */
function together(rows: readonly PlacedRow[], target: Target): (readonly PlacedRow[])[] {
  const groups = new Map<string, PlacedRow[]>();
  for (const placed of rows) {
    const { limit } = needsOf(placed.row);
    const key = limit === undefined ? placed.id : `${kilobytes(limit, target)} KiB`;
    groups.set(key, [...(groups.get(key) ?? []), placed]);
  }
  return [...groups.values()];
}

/** Starts a process for rows of one limit; gives what it said, and how it ended. */
async function ask(
  rows: readonly PlacedRow[],
  target: Target,
  again: readonly string[],
): Promise<{ readonly said: string; readonly how: string }> {
  const { limit, reboot } = needsOf((rows[0] as PlacedRow).row);
  const [node = "", ...args] = [...again, ...rows.flatMap(({ id }) => ["--row", id])];
  const limited = `ulimit -l ${limit === undefined ? "" : kilobytes(limit, target)}; exec "$@"`;
  const child =
    limit === undefined
      ? spawn(node, args)
      : // Node itself refuses to change its user while it runs.
        spawn("/bin/sh", ["-c", limited, "sh", node, ...args], { uid: NOBODY, gid: NOBODY });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (said += text));
  const over = new AbortController();
  // A process in whose system call the kernel crashed dies, or waits for ever for a lock that the crash left behind.
  const ways = [ended(child), setTimeout(PATIENCE, "does not end", { signal: over.signal, ref: false })];
  if (reboot) ways.push(crash(over.signal));
  const how = await Promise.race(ways);
  over.abort();
  await Promise.allSettled(ways.slice(1));
  return { said, how };
}

function ended(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.on("close", (code, signal) => resolve(`ended with ${code ?? signal}`));
  });
}

/** Until the kernel has crashed, and what could still end has ended. */
async function crash(over: AbortSignal): Promise<string> {
  while (!over.aborted && !kernelCrashed()) await setTimeout(GLANCE);
  await setTimeout(GLANCE);
  return "crashed";
}

function kernelCrashed(): boolean {
  return /Oops: /.test(spawnSync("dmesg", { encoding: "utf8" }).stdout);
}

function kilobytes(limit: NonNullable<Needs["limit"]>, { pageSize }: Target): bigint {
  return ("bytes" in limit ? limit.bytes : limit.pages * BigInt(pageSize)) / 1024n;
}
