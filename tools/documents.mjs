// Makes lib/documents.json.br: the documents that the package brings, for `dma-window docs`. As files they have four times the bytes, and
// few who install a package read them there. By name, as JSON: so Node alone unpacks it.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants as zlib } from "node:zlib";

/** Which are not led to by README.md or by another document, and are of use to whoever installs the package. */
const more = ["CHANGELOG.md", "shim/README.md"];

/** The names of those that README.md leads to, directly or by way of others, and more; in the order of the alphabet. */
export function documentsOf(root) {
  const found = new Set(["README.md", ...more]);
  // What is added while it goes through a set, it comes to as well.
  for (const name of found) {
    for (const [, to] of readFileSync(join(root, name), "utf8").matchAll(/\]\(([^)#:]+\.md)(?:#[^)]*)?\)/g))
      found.add(join(name, "..", to));
  }
  found.delete("README.md");
  return [...found].sort();
}

/** @throws Error where one leads to a document that is not there */
export function packDocuments(root, lib) {
  const texts = documentsOf(root).map((name) => [name, readFileSync(join(root, name), "utf8")]);
  const text = Buffer.from(JSON.stringify(Object.fromEntries(texts)));
  const params = {
    [zlib.BROTLI_PARAM_MODE]: zlib.BROTLI_MODE_TEXT,
    [zlib.BROTLI_PARAM_QUALITY]: zlib.BROTLI_MAX_QUALITY,
    [zlib.BROTLI_PARAM_LGWIN]: zlib.BROTLI_MAX_WINDOW_BITS,
    [zlib.BROTLI_PARAM_SIZE_HINT]: text.length,
  };
  writeFileSync(join(lib, "documents.json.br"), brotliCompressSync(text, { params }));
}
