/** Package managers, as npm's packages bring them, and how each installs a tarball without a network and without scripts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { installed } from "../engines/binaries.ts";
import { cacheDirectory } from "../kernels/host.ts";

/** How scripts are kept from running: by an option, by a setting of the project, or by nothing but the manager's own rules. */
export const blockings = ["option", "setting", "own rules"] as const;
export type Blocking = (typeof blockings)[number];

export interface Manager {
  readonly name: string;
  /** npm's name for it. */
  readonly wanted: string;
  /** The first major version of Node that it is made for, of those that we are for. */
  readonly from: number;
  /** What a project has besides package.json. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Has scripts left out in this project. */
  readonly blocked: readonly [file: string, text: string];
  /** What it is told, to install `tarball`. */
  install(tarball: string, blocking: Blocking): readonly string[];
  /** How a file is run with Node, and a command of the package. */
  readonly node: readonly string[];
  readonly command: readonly string[];
}

const npmrc = [".npmrc", "ignore-scripts=true\n"] as const;
const ignored = (blocking: Blocking) => (blocking === "option" ? ["--ignore-scripts"] : []);

const npm = (major: number, from: number): Manager => ({
  name: `npm ${major}`,
  wanted: `npm@${major}`,
  from,
  blocked: npmrc,
  install: (tarball, blocking) => ["install", "--offline", "--no-audit", "--no-fund", ...ignored(blocking), tarball],
  node: ["exec", "--offline", "--", "node"],
  command: ["exec", "--offline", "--", "dma-window"],
});

const pnpm = (major: number, from: number): Manager => ({
  name: `pnpm ${major}`,
  wanted: `pnpm@${major}`,
  from,
  // Of the project's own, so that nothing of another case is found.
  settings: { "pnpm-workspace.yaml": "packages: []\nstoreDir: ./store\n" },
  blocked: ["pnpm-workspace.yaml", "packages: []\nstoreDir: ./store\nignoreScripts: true\n"],
  install: (tarball, blocking) => ["add", "--offline", ...ignored(blocking), tarball],
  node: ["exec", "node"],
  command: ["exec", "dma-window"],
});

const berry = (linker: "node-modules" | "pnp"): Manager => {
  const rc = `nodeLinker: ${linker}\nenableNetwork: false\nenableTelemetry: false\nenableGlobalCache: false\n`;
  return {
    name: `yarn 4, ${linker}`,
    wanted: "@yarnpkg/cli-dist@4",
    from: 20,
    settings: { ".yarnrc.yml": rc, "yarn.lock": "" },
    blocked: [".yarnrc.yml", `${rc}enableScripts: false\n`],
    install: (tarball, blocking) => ["add", ...(blocking === "option" ? ["--mode=skip-build"] : []), tarball],
    node: ["node"],
    command: ["run", "dma-window"],
  };
};

const yarn1: Manager = {
  name: "yarn 1",
  wanted: "yarn@1",
  from: 20,
  blocked: [".yarnrc", "ignore-scripts true\n"],
  install: (tarball, blocking) => ["add", "--offline", "--non-interactive", ...ignored(blocking), tarball],
  node: ["--silent", "node"],
  command: ["--silent", "run", "dma-window"],
};

export const managers: readonly Manager[] = [
  ...[npm(10, 20), npm(11, 20), npm(12, 22)],
  ...[pnpm(10, 20), pnpm(11, 22), pnpm(12, 20)],
  ...[yarn1, berry("node-modules"), berry("pnp")],
];

interface Program {
  readonly path: string;
  /** Node runs it. */
  readonly isScript: boolean;
}

const programs = new Map<string, Program>();

/** The manager's program. @throws Error that says why it cannot be had */
export function programOf({ wanted }: Manager): Program {
  const program = programs.get(wanted) ?? fetched(wanted);
  programs.set(wanted, program);
  return program;
}

function fetched(wanted: string): Program {
  const name = wanted.slice(0, wanted.lastIndexOf("@"));
  const directory = `manager-${wanted.replace(/\W+/g, "-")}`;
  const at = join(cacheDirectory(), "engines", directory, "node_modules", name);
  installed(directory, wanted, join(name, "package.json"));
  const { bin } = JSON.parse(readFileSync(join(at, "package.json"), "utf8")) as { bin: Record<string, string> };
  const path = join(at, bin[name === "@yarnpkg/cli-dist" ? "yarn" : name] as string);
  return { path, isScript: readFileSync(path).toString("latin1", 0, 64).includes("node") || /\.[cm]?js$/.test(path) };
}
