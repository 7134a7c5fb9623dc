/**
 * Which package manager installed this package, by what it left behind, and how it is told to run our install script: all of
 * them leave out the scripts of dependencies, by themselves or where a setting says so.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";

export type PackageManager = "npm" | "pnpm" | "yarn" | "yarn 1" | "bun" | "deno";

/** What each leaves in a project, the surest first: a lock file may be another's, as may a folder that two of them have filled. */
const traces: readonly (readonly [PackageManager, string])[] = [
  ["pnpm", "node_modules/.modules.yaml"],
  ["yarn", "node_modules/.yarn-state.yml"],
  ["yarn 1", "node_modules/.yarn-integrity"],
  ["deno", "node_modules/.deno"],
  ["npm", "node_modules/.package-lock.json"],
  ["yarn", ".pnp.cjs"],
  ["yarn", ".yarnrc.yml"],
  ["pnpm", "pnpm-lock.yaml"],
  ["pnpm", "pnpm-workspace.yaml"],
  ["bun", "bun.lock"],
  ["bun", "bun.lockb"],
  ["yarn 1", "yarn.lock"],
  ["deno", "deno.lock"],
  ["npm", "package-lock.json"],
];

/** Above a package there are not more folders than this that anybody has seen. */
const LEVELS = 16;

/** Where the package lies in a project, and who put it there; npm where nothing says otherwise. */
export interface Installation {
  readonly manager: PackageManager;
  /** The folder of the project that depends on this package. */
  readonly project: string;
}

export function installationOf(home: string): Installation {
  const below = home.lastIndexOf("/node_modules/");
  const virtual = /^(.*?)\/node_modules\/(\.pnpm|\.deno|\.bun|\.store)\//.exec(`${home}/`);
  const project = virtual?.[1] ?? (below < 0 ? home : home.slice(0, below));
  const direct =
    virtual &&
    ({ ".pnpm": "pnpm", ".deno": "deno", ".bun": "bun", ".store": "yarn" } as const)[virtual[2] as string as ".pnpm"];
  return { manager: direct ?? managerOf(project) ?? managerCalling() ?? "npm", project };
}

/** The traces of the nearest folder that has any: a package of a workspace has them above. */
function managerOf(project: string): PackageManager | undefined {
  let folder = project;
  for (let level = 0; level < LEVELS; level++) {
    const found = traces.find(([, trace]) => existsSync(join(folder, trace)));
    if (found !== undefined) return found[0];
    const above = dirname(folder);
    if (above === folder) return undefined;
    folder = above;
  }
  return undefined;
}

/** `pnpm/10.4.1 npm/? node/v22.1.0 linux x64`: known to what a manager runs itself. */
function managerCalling(): PackageManager | undefined {
  const [, name, major] = /^(npm|pnpm|yarn|bun|deno)\/(\d+)/.exec(process.env.npm_config_user_agent ?? "") ?? [];
  return name === "yarn" && major === "1" ? "yarn 1" : (name as PackageManager | undefined);
}

/** The place that says that no script is to run; `undefined` where none does. */
export function scriptsAreOff({ project }: Installation): string | undefined {
  if (/^(true|1|)$/.test(process.env.npm_config_ignore_scripts ?? "no")) return "npm_config_ignore_scripts=true";
  const settings: readonly (readonly [string, RegExp])[] = [
    [join(project, ".npmrc"), /^\s*ignore-scripts\s*=\s*true\s*$/m],
    [join(homedir(), ".npmrc"), /^\s*ignore-scripts\s*=\s*true\s*$/m],
    [join(project, "pnpm-workspace.yaml"), /^\s*ignoreScripts:\s*true\s*$/m],
    [join(project, ".yarnrc"), /^\s*(--install\.)?ignore-scripts\s+true\s*$/m],
    [join(project, ".yarnrc.yml"), /^\s*enableScripts:\s*false\s*$/m],
  ];
  const found = settings.find(([file, off]) => off.test(textOf(file)));
  return (
    found && `${found[1].source.includes("enableScripts") ? "enableScripts: false" : "ignore-scripts"} in ${found[0]}`
  );
}

/** How this package's script is allowed to run, and then does. */
export function approval({ manager }: Installation): string {
  switch (manager) {
    case "npm":
      return "npm approve-scripts dma-window (npm 11.16 and later; npm 12 runs no script without it), then: npm rebuild dma-window";
    case "pnpm":
      return (
        "pnpm approve-builds, where dma-window is to be chosen (pnpm 10 and later run no script without it; it is written to " +
        "onlyBuiltDependencies or allowBuilds of pnpm-workspace.yaml), then: pnpm rebuild dma-window"
      );
    case "yarn":
      return '"dependenciesMeta": { "dma-window": { "built": true } } in package.json, then: yarn rebuild dma-window';
    case "yarn 1":
      return "yarn install --force, without --ignore-scripts";
    case "bun":
      return "bun pm trust dma-window (trustedDependencies of package.json)";
    case "deno":
      return "deno approve-scripts, or deno install --allow-scripts=npm:dma-window";
  }
}

/** How the install script is run once more, where it may run. */
export function rebuild({ manager }: Installation): string {
  switch (manager) {
    case "yarn 1":
      return "yarn install --force";
    case "bun":
      return "bun pm trust dma-window, or bun install --force";
    case "deno":
      return "deno install --allow-scripts=npm:dma-window";
    default:
      return `${manager} rebuild dma-window`;
  }
}

/** The same where a setting or an option has all scripts left out. */
export function runWithScripts(installation: Installation): string {
  if (installation.manager === "npm") return "npm rebuild dma-window --ignore-scripts=false";
  return `without that setting, ${rebuild(installation)}`;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
