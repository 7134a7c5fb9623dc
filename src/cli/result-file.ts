/** Results that go to a file. */
import { writeFileSync } from "node:fs";
import { DmaWindowError } from "../errors.ts";

/** `mode` is that of a file that was not there. @throws `ERR_FILE_UNWRITABLE` */
export function writeResult(path: string, text: string, mode = 0o666): void {
  try {
    writeFileSync(path, text, { mode });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DmaWindowError("ERR_FILE_UNWRITABLE", `${path} cannot be written: ${why}`, { cause });
  }
}
