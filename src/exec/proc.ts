/** What `/proc` says. */
import { readFileSync } from "node:fs";

/** One of its files; "" where there is none, as of a process that has ended. */
export function procText(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}
