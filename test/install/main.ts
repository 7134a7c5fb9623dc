/**
 * The tarball, installed by each package manager on each Node, where there is no compiler, no network, and no script may run; and then
 * used: plan, model, core, shim, and the command.
 *
 *     npm run test:install                     each manager with each Node; scripts are blocked in one way each, so that every way meets each of both
 *     DMA_WINDOW_INSTALLS=all npm run ...      in each way
 *     npm run test:install -- pnpm 26          those whose names have all of these words in them
 *     npm run test:install -- --json           ends with one JSON document on stdout
 */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Engine, NODES, node } from "../engines/binaries.ts";
import { type Case, type Outcome, tryOut } from "./case.ts";
import { blockings, managers } from "./managers.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const words = process.argv.slice(2).filter((word) => word !== "--json");
const isJson = process.argv.includes("--json");
const say = (line: string) => (isJson ? process.stderr : process.stdout).write(`${line}\n`);

const nameOf = ({ manager, major, blocking }: Case) =>
  `${manager.name} on Node ${major}, scripts blocked by ${blocking}`;

/** Every pair of a manager and a Node, with ways of blocking so that each of them meets every manager and every Node. */
function cases(): Case[] {
  const all = managers.flatMap((manager, i) =>
    NODES.flatMap((major, j) => {
      const ways = process.env.DMA_WINDOW_INSTALLS === "all" ? blockings : [blockings[(i + j) % blockings.length]];
      return ways.map((blocking) => ({ manager, major, blocking }) as Case);
    }),
  );
  return all
    .filter(({ manager, major }) => major >= manager.from)
    .filter((one) => words.every((word) => nameOf(one).includes(word)));
}

/** As `npm publish` would make it. @throws Error */
function pack(to: string): string {
  const { status, stderr } = spawnSync("npm", ["pack", "--pack-destination", to], { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`npm pack failed: ${stderr}`);
  return join(to, readdirSync(to)[0] as string);
}

async function main(): Promise<number> {
  const check = spawnSync(process.execPath, ["tools/prebuild.mjs", "--check"], { cwd: root, encoding: "utf8" });
  if (check.status !== 0) {
    say(check.stderr.trim());
    return 2;
  }
  const directory = mkdtempSync(join(tmpdir(), "dma-window-install-"));
  const outcomes: { name: string; seconds: number; fault?: string }[] = [];
  try {
    const packed = join(directory, "packed");
    mkdirSync(packed);
    const tarball = pack(packed);
    const waiting = cases();
    const engines = new Map<number, Engine>(NODES.map((major) => [major, node(major)]));
    // One at a time: most of what a manager does waits for a disk, and the others' caches are theirs.
    for (const one of waiting) {
      const begun = performance.now();
      const engine = engines.get(one.major);
      const outcome: Outcome = engine ? tryOut(one, engine, tarball, directory) : { fault: "there is no such Node" };
      const seconds = Math.round((performance.now() - begun) / 100) / 10;
      outcomes.push({ name: nameOf(one), seconds, ...outcome });
      say(
        `${outcome.fault === undefined ? "good  " : "FAILED"} ${nameOf(one)}, ${seconds} s${outcome.fault ? `: ${outcome.fault}` : ""}`,
      );
    }
    for (const manager of managers.filter(({ from }) => from > NODES[0])) {
      say(
        `not   ${manager.name} on Node ${NODES.filter((major) => major < manager.from).join(", ")}: it is not made for that`,
      );
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
  const failed = outcomes.filter(({ fault }) => fault !== undefined).length;
  if (isJson) process.stdout.write(`${JSON.stringify({ cases: outcomes }, null, 1)}\n`);
  say(`\n${outcomes.length - failed} passed, ${failed} failed`);
  return failed === 0 && outcomes.length > 0 ? 0 : 1;
}

process.exitCode = await main();
