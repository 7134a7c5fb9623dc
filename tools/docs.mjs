// Makes docs/api: a page for each export of the package and each of its members, from the declarations in dist/.
//
//     node tools/docs.mjs [DIRECTORY]
//
// API Extractor reads declarations, and brings the TypeScript that it needs: the compiler's own interface is another one since version 7.
// The pages are not kept in git: any comment of src would change them.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Extractor, ExtractorConfig, ExtractorLogLevel } from "@microsoft/api-extractor";

const root = fileURLToPath(new URL("..", import.meta.url));
const dist = join(root, "dist");
const target = process.argv[2] ?? join(root, "docs/api");

/** Each entry of the package is a package for these tools. */
const ENTRIES = {
  "dma-window": "index",
  "dma-window-core": "core",
  "dma-window-model": "model/index",
  "dma-window-trace": "trace/index",
};

if (!existsSync(join(dist, "index.d.ts"))) throw new Error("the declarations are not there: run npm run build first");
// Inside the package, where @types/node is found.
mkdirSync(join(root, "build"), { recursive: true });
const work = mkdtempSync(join(root, "build/docs-"));
try {
  for (const [name, entry] of Object.entries(ENTRIES)) extract(name, entry);
  document();
} finally {
  rmSync(work, { recursive: true });
}

/** TSDoc has no indented code; and `.ts` is no name of a declaration. */
function readable(text) {
  const indented = /^([ \t]*\*)\n((?:\1 {5}.*\n)(?:\1(?: {5}.*)?\n)*?)(?=\1(?:\/|\n\1 ?\S| \S))/gm;
  return text
    .replace(/(from\s+"|import\(")(\.[^"]+)\.ts"/g, '$1$2.js"')
    .replace(
      indented,
      (_, star, code) => `${star}\n${star} \`\`\`ts\n${code.replaceAll(`${star}     `, `${star} `)}${star} \`\`\`\n`,
    );
}

/** Writes what an entry exports, for the other tool. */
function extract(name, entry) {
  const folder = join(work, name);
  for (const file of readdirSync(dist, { recursive: true }).filter((one) => one.endsWith(".d.ts"))) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), readable(readFileSync(join(dist, file), "utf8")));
  }
  const compilerOptions = {
    target: "es2022",
    lib: ["es2024", "esnext"],
    module: "nodenext",
    strict: true,
    types: ["node"],
  };
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name, version, type: "module" }));
  const extractorConfig = ExtractorConfig.prepare({
    packageJsonFullPath: join(folder, "package.json"),
    configObjectFullPath: undefined,
    configObject: {
      projectFolder: folder,
      mainEntryPointFilePath: join(folder, `${entry}.d.ts`),
      compiler: { overrideTsconfig: { compilerOptions, files: [`${entry}.d.ts`] } },
      apiReport: { enabled: false },
      docModel: {
        enabled: true,
        apiJsonFilePath: join(work, "models", `${name}.api.json`),
        includeForgottenExports: true,
      },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
    },
  });
  const { succeeded, errorCount } = Extractor.invoke(extractorConfig, {
    // Warnings are about tags that we do not use, such as @public.
    messageCallback: (message) => {
      message.handled = message.logLevel !== ExtractorLogLevel.Error;
    },
  });
  if (!succeeded && errorCount > 0) throw new Error(`${name}: ${errorCount} errors`);
}

function document() {
  rmSync(target, { recursive: true, force: true });
  const program = join(
    dirname(createRequire(import.meta.url).resolve("@microsoft/api-documenter/package.json")),
    "bin/api-documenter",
  );
  const words = [program, "markdown", "--input-folder", join(work, "models"), "--output-folder", target];
  const { status, stdout, stderr } = spawnSync(process.execPath, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`api-documenter: ${stdout}${stderr}`);
  // It ends lines as Windows does.
  for (const name of readdirSync(target)) {
    const path = join(target, name);
    writeFileSync(path, readFileSync(path, "utf8").replaceAll("\r\n", "\n"));
  }
}
