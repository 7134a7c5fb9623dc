import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/** What stands at a path of the tree: a file's content, or a link's target. */
export type Entry = string | Uint8Array | { readonly link: string };

/** Calls `use` with a directory that holds `entries`, by their paths in it, and removes it afterwards. */
export function withTree(entries: Readonly<Record<string, Entry>>, use: (root: string) => void): void {
  const root = mkdtempSync(join(tmpdir(), "dma-window-"));
  try {
    for (const [path, entry] of Object.entries(entries)) {
      const full = join(root, path);
      mkdirSync(dirname(full), { recursive: true });
      if (typeof entry === "string" || entry instanceof Uint8Array) writeFileSync(full, entry);
      else symlinkSync(entry.link, full);
    }
    use(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}
