/** How the guest's program reports: see `../console.ts`. */
import { writeSync } from "node:fs";
import { type Event, MARK } from "../console.ts";

/** Text for people. */
export function say(text: string): void {
  writeSync(1, `${text}\n`);
}

let reports = 0;

/** Twice, because firmware may speak in the middle of a line; its `id` tells that it is the same. */
export function report(event: Event): void {
  const line = `${MARK}${JSON.stringify({ id: `${process.pid}.${++reports}`, ...event })}`;
  say(line);
  say(line);
}

/** Runs a test and reports it; the part goes on when it fails. Names are sentences that state what holds. */
export function test(name: string, run: () => void): void {
  try {
    run();
    report({ kind: "test", name, ok: true });
  } catch (error) {
    report({ kind: "test", name, ok: false, message: messageOf(error) });
  }
}

/** The same of what takes its time. */
export async function testLater(name: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
    report({ kind: "test", name, ok: true });
  } catch (error) {
    report({ kind: "test", name, ok: false, message: messageOf(error) });
  }
}

/** The error's own words, and where it came from. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error.stack ?? error.message).split("\n").slice(0, 6).join(" | ");
}
