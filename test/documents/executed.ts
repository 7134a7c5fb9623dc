/** Commands of a document, run one after the other in a folder that looks like a checkout. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeFiles } from "../explain/pasted-files.ts";
import { root } from "../package/imports.ts";
import { wordsOf } from "./commands.ts";

/** On simulated memory: what this machine has differs from what others have. */
const env = { ...process.env, COLUMNS: "80", LC_ALL: "C.UTF-8", NO_COLOR: "1", DMA_WINDOW_SHIM: "/nonexistent.node" };

/** Files that a document's commands read, and that none of them writes. */
const GIVEN: Readonly<Record<string, (folder: string) => void>> = { "docs/explain.md": writeFiles };

export interface Executed {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder for what commands write, with what they read of the package. */
export class Folder {
  private readonly path = mkdtempSync(join(tmpdir(), "dma-window-document-"));

  constructor(document: string) {
    for (const name of ["LICENSE", "dist", "examples", "node_modules", "package.json"])
      symlinkSync(join(root, name), join(this.path, name));
    GIVEN[document]?.(this.path);
  }

  execute(text: string): Executed {
    const [first = "", ...rest] = wordsOf(text);
    const words = first === "npx" ? rest : [first, ...rest];
    const [program = "", ...args] =
      words[0] === "dma-window" ? [process.execPath, join(root, "lib/cli/main.js"), ...words.slice(1)] : words;
    return spawnSync(program === "node" ? process.execPath : program, args, { cwd: this.path, encoding: "utf8", env });
  }

  remove(): void {
    rmSync(this.path, { recursive: true });
  }
}
