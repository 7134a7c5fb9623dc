// Builds what of the shim goes into the package: `npm run prebuild`, with Debian's cross compilers. npm runs it before `npm run build`
// too, because of its name: so it does nothing where what is there is of these sources, and says nothing where a compiler is missing.
//
//     node tools/prebuild.mjs              what is not there yet, or of other sources; nothing without the compilers
//     node tools/prebuild.mjs --insist     a compiler that is missing is a failure, and is named; CI says so
//     node tools/prebuild.mjs --needs      the Debian packages that are missing for it, if any
//     node tools/prebuild.mjs --check      whether what is there is whole, and of the sources that are here; npm publish asks
//
//     prebuilds/linux-x64/vfio_shim.node       and linux-arm64, linux-ppc64le: standalone shims (shim/compile.mjs)
//     prebuilds/sources.json.br                for shim/build.mjs in a package: the shim's sources, and the headers of Node-API
//     prebuilds/SHA256SUMS                     of all of them, as sha256sum has it; and of the sources in this checkout
//
// It makes them beside what is there, and puts them in its place when they are whole. The same sources and compilers give the same files.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { arch } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants as zlib } from "node:zlib";
import { compileShim, headersOf } from "../shim/compile.mjs";
import { putInPlace } from "./put-in-place.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const home = join(root, "prebuilds");
const sumsFile = "SHA256SUMS";

/**
 * By the directory's name. Pages of up to 64 KiB are what arm64 and POWER may have: read-only relocations would pad the file by a page. A
 * compiler for arm64 chooses atomic instructions as the program starts, by a symbol that not every C library has.
 */
const targets = [
  { name: "x64", triplet: "x86_64-linux-gnu", more: ["-Wl,-z,relro"] },
  { name: "arm64", triplet: "aarch64-linux-gnu", more: ["-mno-outline-atomics", "-Wl,-z,norelro"] },
  { name: "ppc64le", triplet: "powerpc64le-linux-gnu", more: ["-Wl,-z,norelro"] },
];

/** Of this machine itself Debian's compiler has no name of its own. */
const own = { x64: "x64", arm64: "arm64", ppc64: "ppc64le" }[arch()];
const packageOf = ({ name, triplet }) => (name === own ? "g++" : `g++-${triplet.replace("_", "-")}`);
const compilerOf = ({ triplet }) => `${triplet}-g++`;

/** In the order of the alphabet. */
function missingPackages() {
  const path = (process.env.PATH ?? "").split(delimiter);
  const has = (program) => path.some((directory) => isProgram(join(directory, program)));
  return targets
    .filter((target) => !has(compilerOf(target)))
    .map(packageOf)
    .sort();
}

function isProgram(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @throws Error that says what failed; prebuilds/ is as it was then. */
export function prebuild() {
  const fresh = join(root, `.prebuilds-${process.pid}`);
  try {
    for (const target of targets) compile(target, fresh);
    archive(fresh);
    writeFileSync(join(fresh, sumsFile), sumsOf(fresh));
    putInPlace(fresh, home);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function compile(target, fresh) {
  const directory = join(fresh, `linux-${target.name}`);
  mkdirSync(directory, { recursive: true });
  const { why, said } = compileShim({
    ...{ compiler: compilerOf(target), directory: join(root, "shim"), headers: headersOf(root) },
    ...{ output: join(directory, "vfio_shim.node"), isStandalone: true, more: target.more },
  });
  if (why !== undefined) throw new Error(`the shim for ${target.name} was not built: ${why}\n${said}`);
}

/**
 * What a compiler needs, in one file: nobody reads most of it, and everybody would have it unpacked. By name, as JSON: so Node alone
 * unpacks it. Sources and headers are without their comments and margins, which are half of them.
 */
function archive(fresh) {
  const files = packedFiles().map(([name, path]) => [
    name,
    /\.(h|cc)$/.test(name) ? bare(path) : readFileSync(path, "utf8"),
  ]);
  const text = Buffer.from(JSON.stringify(Object.fromEntries(files)));
  const params = {
    [zlib.BROTLI_PARAM_MODE]: zlib.BROTLI_MODE_TEXT,
    [zlib.BROTLI_PARAM_QUALITY]: zlib.BROTLI_MAX_QUALITY,
    [zlib.BROTLI_PARAM_LGWIN]: zlib.BROTLI_MAX_WINDOW_BITS,
    [zlib.BROTLI_PARAM_SIZE_HINT]: text.length,
  };
  writeFileSync(join(fresh, "sources.json.br"), brotliCompressSync(text, { params }));
}

/** A file without comments, as a preprocessor has it that expands nothing. None has a string of several lines. */
function bare(path) {
  const words = ["-fpreprocessed", "-dD", "-E", "-P", "-x", "c++", path];
  const { status, error, stdout, stderr } = spawnSync(compilerOf(targets[0]), words, {
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (status !== 0) throw new Error(`the sources were not packed: ${error?.message ?? stderr}`);
  return stdout.replace(/^[ \t]+/gm, "");
}

/** What is in the archive, and where it lies here; in the order of their names. */
function packedFiles() {
  const [api, wrapper] = headersOf(root);
  const headers = [api, wrapper].flatMap((directory) =>
    readdirSync(directory)
      .filter((name) => /^(node_api|js_native_api|napi)(?!.*deprecated).*\.h$/.test(name))
      .map((name) => [`include/${name}`, join(directory, name)]),
  );
  return [
    ...headers,
    ["include/LICENSE.node-api-headers", join(dirname(api), "LICENSE")],
    ["include/LICENSE.node-addon-api", join(wrapper, "LICENSE.md")],
    ...readdirSync(join(root, "shim"))
      .filter((name) => /^(?!exec_).*\.(h|cc|map)$/.test(name)) // exec is a checkout's: see vfio_shim.cc
      .map((name) => [`shim/${name}`, join(root, "shim", name)]),
  ].sort(([one], [other]) => (one < other ? -1 : 1));
}

const sumOf = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest("hex");

function sumsOf(directory) {
  const files = readdirSync(directory, { recursive: true }).filter((name) => /\.(node|br)$/.test(name));
  const lines = files.sort().map((name) => `${sumOf(readFileSync(join(directory, name)))}  ${name}`);
  return `${[...lines, sourcesLine()].join("\n")}\n`;
}

/** What the files were made from: the sources, the headers of Node-API, and how they are compiled. */
function sourcesLine() {
  const how = [join(root, "shim/compile.mjs"), fileURLToPath(import.meta.url)];
  return `# made from ${sumOf(...[...packedFiles().map(([, path]) => path), ...how].map((path) => readFileSync(path)))}`;
}

/** Why prebuilds/ cannot be published; undefined where it can. */
export function whyNot() {
  const file = join(home, sumsFile);
  if (!existsSync(file)) return "there are no prebuilt shims";
  const text = readFileSync(file, "utf8");
  if (text !== sumsOf(home)) {
    return text.includes(sourcesLine())
      ? "the prebuilt shims are not those that were built"
      : "the prebuilt shims are of other sources";
  }
  return undefined;
}

/** What keeps this machine from building them; undefined where nothing does. CXX=false says that no compiler is to be used. */
function hindrance() {
  if (process.env.CXX === "false") return "CXX=false";
  const missing = missingPackages();
  if (missing.length === 0) return undefined;
  return `there is no compiler for all of them. As root:\n\n    apt-get update && apt-get install -y --no-install-recommends ${missing.join(" ")}\n`;
}

function main(word) {
  if (word === "--needs") return console.log(missingPackages().join(" "));
  const why = whyNot();
  if (why === undefined) return;
  if (word === "--check") {
    console.error(`dma-window: ${why}: npm run prebuild -- --insist`);
    process.exitCode = 1;
    return;
  }
  const hindered = hindrance();
  if (hindered === undefined) {
    prebuild();
    process.stdout.write(readFileSync(join(home, sumsFile), "utf8"));
    return;
  }
  // Whoever builds a checkout, or tests it, needs none.
  if (word !== "--insist") return;
  console.error(`dma-window: ${why}, and they are not built: ${hindered}`);
  process.exitCode = 2;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    main(process.argv[2]);
  } catch (error) {
    console.error(`dma-window: ${error.message}; prebuilds/ is as it was.`);
    process.exitCode = 1;
  }
}
