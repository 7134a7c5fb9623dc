/** `dma-window docs`: the documents of this package, which lie in it as one file (tools/documents.mjs). */
import { readFileSync } from "node:fs";
import { brotliDecompressSync } from "node:zlib";
import { nearest } from "../known.ts";
import type { DocsLine } from "./docs-line.ts";
import { UsageError } from "./usage.ts";

/** From src/cli, dist/cli and lib/cli alike. */
const ARCHIVE = new URL("../../lib/documents.json.br", import.meta.url);
const README = new URL("../../README.md", import.meta.url);

interface Document {
  /** What `docs` calls it: `guide`. */
  readonly name: string;
  /** What documents call it: `docs/guide.md`. */
  readonly path: string;
  readonly text: string;
}

/** All of them; README.md is a file of its own. */
function documents(): readonly Document[] {
  const packed = JSON.parse(brotliDecompressSync(readFileSync(ARCHIVE)).toString()) as Readonly<Record<string, string>>;
  return Object.entries({ "README.md": readFileSync(README, "utf8"), ...packed })
    .map(([path, text]) => ({ name: nameOf(path), path, text }))
    .sort(({ name: one }, { name: other }) => (one < other ? -1 : 1));
}

/** `docs/guide.md` is `guide`, `CHANGELOG.md` is `changelog`, and `shim/README.md` is `shim`. */
function nameOf(path: string): string {
  const words = path.replace(/\.md$/, "").replace(/^docs\//, "");
  return words.replace(/\/README$/, "").toLowerCase();
}

/** @throws UsageError for a name that none has */
export function docsCommand({ name, json }: DocsLine, print: (text: string) => void): number {
  const all = documents();
  if (name !== undefined) {
    const found = documentNamed(name, all);
    print(json ? JSON.stringify(found) : found.text.trimEnd());
    return 0;
  }
  if (json) print(JSON.stringify(all.map(({ text: _, ...one }) => one)));
  else print(listOf(all));
  return 0;
}

/** By its name, or as another document leads to it: `../docs/guide.md#a-group`. */
function documentNamed(name: string, all: readonly Document[]): Document {
  const path = name.replace(/#.*$/, "").replace(/^(?:\.{1,2}\/)+/, "");
  const wanted = [path, `docs/${path}`];
  const found =
    all.find((one) => wanted.includes(one.path)) ?? all.find((one) => one.name === nameOf(path.toLowerCase()));
  if (found !== undefined) return found;
  const names = all.map((one) => one.name);
  const meant = nearest(nameOf(path), names);
  throw new UsageError(
    `there is no document ${JSON.stringify(name.slice(0, 80))}${meant === undefined ? "" : `; did you mean ${meant}?`} ` +
      `They are ${names.join(", ")}`,
  );
}

/** Each with its title. */
function listOf(all: readonly Document[]): string {
  const width = Math.max(...all.map(({ name }) => name.length));
  const titles = all.map(({ name, text }) => `  ${name.padEnd(width)}  ${/^# (.*)$/m.exec(text)?.[1] ?? ""}`.trimEnd());
  return ["dma-window docs NAME prints one of these:", "", ...titles].join("\n");
}
