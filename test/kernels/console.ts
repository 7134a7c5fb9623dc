/**
 * What a guest says on its console: text for people, and lines that begin with a mark and carry JSON.
 *
 *     edu: 4096 bytes written through IOVA 0x800000000000000
 *     @dma-window {"id":"61.7","kind":"test","name":"...","ok":true}
 *     @dma-window {"id":"61.7","kind":"test","name":"...","ok":true}
 *
 * Each report comes twice, with the id of its process and a number, or of init and what it says: firmware and kernel speak on
 * the same console, also in the middle of a line.
 */

import type { Expected } from "./accesses.ts";
import type { Written } from "./blocks.ts";

export const MARK = "@dma-window ";

/** What the guest's program, or its first process, has to report. */
export type Event =
  /** The firmware and the kernel's own start are over. */
  | { readonly kind: "up" }
  /** `uname -r`, `uname -v`, Node's version, and bytes. */
  | {
      readonly kind: "machine";
      readonly kernel: string;
      readonly build: string;
      readonly node: string;
      readonly cpuPage: number;
    }
  | { readonly kind: "test"; readonly name: string; readonly ok: boolean; readonly message?: string }
  /** A row of a table that is shown as it is. */
  | { readonly kind: "row"; readonly table: string; readonly cells: Readonly<Record<string, string>> }
  | { readonly kind: "dma"; readonly transfers: number; readonly wrongBytes: number }
  | {
      readonly kind: "inFlight";
      readonly scheme: Scheme;
      readonly transfers: number;
      readonly lost: number;
      readonly interrupted: number;
    }
  | { readonly kind: "conformance"; readonly rows: number; readonly differences: number }
  /** Blocks that the NVMe driver read and wrote, bytes that were not right, interrupts heard, and events that none told of. */
  | ({ readonly kind: "nvme" } & NvmeCounts)
  /** Its commands while memory grew. */
  | { readonly kind: "nvmeInFlight"; readonly scheme: Scheme; readonly commands: number; readonly lost: number }
  /** Blocks that hold something else from now on: the host looks in the end. */
  | ({ readonly kind: "written" } & Written)
  /** What QEMU's log is to have of the controller's registers. */
  | ({ readonly kind: "accesses"; readonly test: string } & Expected)
  | { readonly kind: "random"; readonly operations: number; readonly differences: number }
  /** Locked memory that a process had more at its end than at its beginning, in KiB. */
  | { readonly kind: "leak"; readonly kib: number }
  /** A part's process has ended; 137 when it was killed because it took too long. */
  | { readonly kind: "ended"; readonly part: string; readonly status: number }
  /** The last word: the machine goes off now. `tainted` is /proc/sys/kernel/tainted. */
  | { readonly kind: "off"; readonly tainted: number };

export type Scheme = "static" | "dynamic";

export interface NvmeCounts {
  readonly reads: number;
  readonly writes: number;
  readonly wrongBytes: number;
  readonly interrupts: number;
  /** Commands that ended and of which no interrupt told in time. */
  readonly missed: number;
}

const kinds: ReadonlySet<string> = new Set<Event["kind"]>([
  ...(["up", "machine", "test", "row", "dma", "inFlight", "conformance", "random", "leak", "ended", "off"] as const),
  ...(["nvme", "nvmeInFlight", "written", "accesses"] as const),
]);

/** A report as it comes: both copies have the same id. */
export type Report = Event & { readonly id: string };

/** The report of a line; `undefined` for text; `"torn"` when the mark is there and what follows cannot be read. */
export function reportIn(line: string): Report | "torn" | undefined {
  const at = line.indexOf(MARK);
  if (at < 0) return undefined;
  try {
    const report = JSON.parse(line.slice(at + MARK.length)) as { kind?: unknown; id?: unknown };
    return kinds.has(String(report?.kind)) && typeof report.id === "string" ? (report as Report) : "torn";
  } catch {
    return "torn";
  }
}

/** Whether the kernel says that it has met its end, or part of it has. */
export function isCrash(line: string): boolean {
  return /Kernel panic - not syncing|\bOops: |kernel BUG at |BUG: |Unable to handle kernel|soft lockup|rcu: INFO/.test(
    line,
  );
}

/** Bytes as they come, in lines as they were written: without carriage returns and the terminal's escape sequences. */
export class Lines {
  readonly #decoder = new TextDecoder();
  readonly #take: (line: string) => void;
  #rest = "";

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  write(bytes: Uint8Array): void {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#take(clean(line));
  }

  /** The last line, if it had no end. */
  end(): void {
    if (this.#rest !== "") this.#take(clean(this.#rest));
    this.#rest = "";
  }
}

function clean(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
  return line.replace(/\r|\x1b\[[0-9;?]*[A-Za-z]|\x1bc/g, "").trimEnd();
}
