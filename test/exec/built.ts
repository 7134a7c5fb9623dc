/** Programs of this folder, compiled in other ways than as its other tests have them. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const sources = fileURLToPath(new URL("programs/", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "dma-window-built-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

/** Compiles and links with the compiler's options; the file. @throws Error with what the compiler said */
export function built(name: string, options: readonly string[], inputs: readonly string[]): string {
  const output = join(folder, name);
  const files = inputs.map((input) => (input.endsWith(".c") ? join(sources, input) : input));
  const { status, stderr } = spawnSync("cc", ["-Wall", "-pthread", ...options, "-o", output, ...files], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${name} was not built: ${stderr}`);
  return output;
}

/** Whether a tool is installed. */
export function hasTool(name: string): boolean {
  return spawnSync(name, ["--version"]).status === 0;
}
