/** What Node's permission model lets this program see of the files that the shim is looked for in. */
import { existsSync } from "node:fs";
import process from "node:process";

/** Whether a file is there, as far as this program may know: existsSync throws under the permission model. Never throws. */
export function isThere(path: string): boolean {
  try {
    return existsSync(path);
  } catch {
    return false;
  }
}

/** The permission model hides files: "not there" would be a lie. */
export function mayNotRead(path: string): boolean {
  const { permission } = process as { permission?: { has(scope: string, reference?: string): boolean } };
  return permission !== undefined && !permission.has("fs.read", path);
}
