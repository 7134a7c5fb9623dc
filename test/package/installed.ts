/** The package as a program that installed it has it, in a directory of its own. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "./imports.ts";

/** What a child process left. */
export interface Ended {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program and waits for its end. A variable of the environment that is undefined is unset. */
export function execute(
  command: string,
  parameters: readonly string[],
  {
    cwd = tmpdir(),
    env = {},
  }: { readonly cwd?: string; readonly env?: Readonly<Record<string, string | undefined>> } = {},
): Ended {
  const inherited = { ...process.env, ...env };
  return spawnSync(command, parameters, { cwd, encoding: "utf8", env: inherited, timeout: 120_000 });
}

/** A directory for a program, with dma-window in its node_modules: no sources, for nothing that is used may lead there. */
export class Home {
  readonly at = mkdtempSync(join(tmpdir(), "dma-window-"));
  readonly package = join(this.at, "node_modules/dma-window");

  constructor() {
    mkdirSync(this.package, { recursive: true });
    for (const part of ["package.json", "lib"]) cpSync(join(root, part), join(this.package, part), { recursive: true });
    this.write("package.json", '{ "type": "module" }');
  }

  /** The path of a file that now has this content. */
  write(name: string, content: string): string {
    const path = join(this.at, name);
    mkdirSync(join(path, ".."), { recursive: true });
    writeFileSync(path, content);
    return path;
  }

  remove(): void {
    rmSync(this.at, { recursive: true });
  }
}
