/** Which file imports which, read from the import statements themselves. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../../", import.meta.url));

/** An import statement: the file that has it, and what it names. Paths from the package's directory, with `/`. */
export interface Import {
  readonly from: string;
  /** A file of ours, or a package (`node:fs`). */
  readonly to: string;
  readonly ours: boolean;
  /** Gone at run time. */
  readonly typeOnly: boolean;
}

/** All files below a directory of the package. */
export function filesIn(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .sort();
}

// `import x from "y"`, `import { x } from "y"`, `export { x } from "y"`, over several lines too; `import "y"`; `import("y")`.
const statement =
  /^(?:import|export)\s+(?<clause>(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\}|\w+(?:\s*,\s*\{[^}]*\})?))\s+from\s+"(?<named>[^"]+)"|^import\s+"(?<bare>[^"]+)"|\bimport\("(?<dynamic>[^"]+)"\)/gm;

/** The imports that a text has. `extension` is what a path without one lacks, as in AssemblyScript. */
export function importsOf(from: string, text: string, extension = ""): Import[] {
  return [...text.matchAll(statement)].map(({ groups = {} }) => {
    const target = groups.named ?? groups.bare ?? groups.dynamic ?? "";
    const ours = target.startsWith(".");
    const to = ours ? join(dirname(from), target) + extension : target;
    return { from, to, ours, typeOnly: groups.clause !== undefined && isTypeOnly(groups.clause) };
  });
}

function isTypeOnly(clause: string): boolean {
  if (/^type\s/.test(clause)) return true;
  const names = /^\{([^}]*)\}$/
    .exec(clause)?.[1]
    ?.split(",")
    .map((name) => name.trim());
  return names?.every((name) => name === "" || name.startsWith("type ")) ?? false;
}

/** The imports of every file below a directory. */
export function importsIn(directory: string, extension = ""): Import[] {
  return filesIn(directory)
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"))
    .flatMap((file) => importsOf(file, readFileSync(join(root, file), "utf8"), extension));
}

/** The files of one ring of imports, in its order; undefined when there is none. */
export function ringIn(imports: readonly Pick<Import, "from" | "to">[]): string[] | undefined {
  const targets = new Map<string, string[]>();
  for (const { from, to } of imports) targets.set(from, [...(targets.get(from) ?? []), to]);
  const finished = new Set<string>();
  const walk = (file: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (finished.has(file)) return undefined;
    for (const target of targets.get(file) ?? []) {
      const ring = walk(target, [...path, file]);
      if (ring) return ring;
    }
    finished.add(file);
    return undefined;
  };
  for (const file of targets.keys()) {
    const ring = walk(file, []);
    if (ring) return ring;
  }
  return undefined;
}
