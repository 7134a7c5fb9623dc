/** The documents whose commands are run. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { filesIn, root } from "../package/imports.ts";

const MORE = [
  "README.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  "examples/nvme/README.md",
  "shim/README.md",
  "test/kernels/README.md",
];

/** All of them; those that `npm run docs` makes have no commands of their own. */
export const documents: readonly { readonly name: string; readonly text: string }[] = [
  ...MORE.filter((name) => existsSync(join(root, name))),
  ...filesIn("docs").filter((name) => name.endsWith(".md") && !name.startsWith("docs/api/")),
].map((name) => ({ name, text: readFileSync(join(root, name), "utf8") }));
