// Compiles the shim, one translation unit, by one call of a compiler. Whoever builds a shim does it here: build.mjs on the machine that
// it is for, tools/prebuild.mjs for the package, the tests and their guests.
//
// A standalone shim needs no C++ library, and names no library at all: the symbols that it uses, all of the C library, are found in the
// process that loads it, by name and in whatever version is there. So one file suits glibc and musl.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const options = [
  ...["-std=c++17", "-O2", "-shared", "-fPIC", "-fno-exceptions", "-Wall", "-Wextra"],
  ...["-DNAPI_VERSION=8", "-DNAPI_DISABLE_CPP_EXCEPTIONS", "-DNODE_ADDON_API_DISABLE_DEPRECATED"],
];

/** What an addon shows; everything else is its own, whatever else the process has by that name. */
const versions = "exports.map";

const standalone = [
  // As C++20 has it, std::string is made here, and not taken from the library.
  ...["-std=c++20", "-DDMA_WINDOW_STANDALONE"],
  ...[
    "-Os",
    "-fno-rtti",
    "-fvisibility=hidden",
    "-fno-semantic-interposition",
    "-ffunction-sections",
    "-fno-asynchronous-unwind-tables",
    "-fno-unwind-tables",
  ],
  // What a distribution's compiler may do by itself, and takes symbols of one C library for.
  ...["-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=0", "-fno-stack-protector"],
];
/** Behind the sources. */
const standaloneLink = [
  ...["-nostdlib", "-l:libstdc++.a", "-l:libgcc.a", "-s", "-Wl,--gc-sections", "-Wl,--hash-style=gnu"],
  ...["-Wl,-z,now", "-Wl,-z,noexecstack", "-Wl,-z,noseparate-code"],
];

/** The directories of Node-API's headers, and of the C++ ones over them, in a checkout. @throws Error where they are not installed */
export function headersOf(root) {
  const resolve = createRequire(join(root, "package.json")).resolve;
  const [api, wrapper] = ["node-api-headers", "node-addon-api"].map((name) => dirname(resolve(`${name}/package.json`)));
  return [join(api, "include"), wrapper];
}

/**
 * Compiles vfio_shim.cc. Gives what the compiler said, and why there is no shim, if there is none.
 *
 * @param {object} wanted
 * @param {string} wanted.compiler a command, maybe with words behind it: `ccache g++`
 * @param {string} wanted.directory that of the sources
 * @param {readonly (string | undefined)[]} wanted.headers the directories of Node-API's
 * @param {string} wanted.output
 * @param {boolean} [wanted.isStandalone]
 * @param {readonly string[]} [wanted.more] options
 * @returns {{ said: string, why?: string }}
 */
export function compileShim({ compiler, directory, headers, output, isStandalone = false, more = [] }) {
  const [command, ...first] = compiler.split(/\s+/).filter((word) => word !== "");
  const link = isStandalone ? [...standaloneLink, `-Wl,--version-script=${join(directory, versions)}`] : [];
  const words = [
    ...[...first, ...options, ...(isStandalone ? standalone : []), ...more],
    ...headers.map((path) => `-I${path}`),
    ...[join(directory, "vfio_shim.cc"), "-o", output, ...link],
  ];
  const { error, status, signal, stdout, stderr } = spawnSync(command, words, {
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  const said = `${stdout ?? ""}${stderr ?? ""}${error ? `${error.message}\n` : ""}`;
  if (error?.code === "ENOENT") return { said, why: `there is no ${command}` };
  if (error) return { said, why: error.message };
  if (signal) return { said, why: `${command} was ended by ${signal}` };
  if (status !== 0) return { said, why: `${command} failed` };
  return existsSync(output) ? { said } : { said, why: `${command} left nothing` };
}
