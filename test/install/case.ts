/** One project that installs the tarball, and what it finds then. */
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Engine } from "../engines/binaries.ts";
import { type Blocking, type Manager, programOf } from "./managers.ts";

export interface Case {
  readonly manager: Manager;
  readonly major: number;
  readonly blocking: Blocking;
}

export interface Outcome {
  readonly fault?: string;
}

/** What a machine without a compiler has all the same. */
const plain = ["sh", "env", "uname", "sed", "dirname", "basename", "cat", "ls", "tar", "gzip"];
/** Not one of them may be found. */
const compilers = ["cc", "c++", "gcc", "g++", "clang", "clang++", "make", "python3", "python", "node-gyp"];

const program = fileURLToPath(new URL("program.mjs", import.meta.url));
const platforms = ["powernv", "pseries", "type1"];

class Project {
  readonly at: string;
  readonly #manager: Manager;
  readonly #engine: Engine;
  readonly #environment: NodeJS.ProcessEnv;

  constructor({ manager, blocking }: Case, engine: Engine, below: string) {
    this.at = mkdtempSync(join(below, "project-"));
    this.#manager = manager;
    this.#engine = engine;
    const bin = join(this.at, "bin");
    for (const directory of ["bin", "home", "tmp"]) mkdirSync(join(this.at, directory));
    symlinkSync(engine.command, join(bin, "node"));
    for (const name of plain) symlinkSync(whereIs(name), join(bin, name));
    // Of the environment nothing is handed on that could name a compiler, a setting or another Node.
    this.#environment = {
      PATH: bin,
      HOME: join(this.at, "home"),
      TMPDIR: join(this.at, "tmp"),
      CI: "1",
      LANG: "C.UTF-8",
    };
    const app = join(this.at, "app");
    mkdirSync(app);
    this.write("package.json", '{ "name": "app", "version": "1.0.0", "type": "module", "private": true }\n');
    for (const [file, text] of Object.entries(manager.settings ?? {})) this.write(file, text);
    if (blocking === "setting") this.write(...manager.blocked);
    copyFileSync(program, join(app, "program.mjs"));
  }

  write(file: string, text: string): void {
    writeFileSync(join(this.at, "app", file), text);
  }

  /** Runs a program as somebody in the project would. */
  run(command: string, words: readonly string[]): { status: number | null; out: string; err: string } {
    const { status, signal, stdout, stderr, error } = spawnSync(command, words, {
      cwd: join(this.at, "app"),
      encoding: "utf8",
      env: this.#environment,
      timeout: 180_000,
    });
    return { status, out: stdout ?? "", err: `${stderr ?? ""}${error?.message ?? ""}${signal ?? ""}` };
  }

  manage(words: readonly string[]): { status: number | null; out: string; err: string } {
    const { path, isScript } = programOf(this.#manager);
    return isScript ? this.run(this.#engine.command, [path, ...words]) : this.run(path, words);
  }
}

/** Installs the tarball in a project of its own, and uses it. */
export function tryOut(one: Case, engine: Engine, tarball: string, below: string): Outcome {
  let project: Project | undefined;
  try {
    project = new Project(one, engine, below);
    check(project, one, tarball);
    return {};
  } catch (error) {
    return { fault: error instanceof Error ? error.message : String(error) };
  } finally {
    if (project) rmSync(project.at, { recursive: true, force: true });
  }
}

function check(project: Project, { manager, blocking, major }: Case, tarball: string): void {
  for (const name of compilers) {
    expect(project.run("sh", ["-c", `command -v ${name}`]).status !== 0, `${name} can be found`);
  }
  const installed = project.manage(manager.install(tarball, blocking));
  expect(installed.status === 0, `it was not installed: ${installed.err.trim()} ${installed.out.trim()}`);
  const talk = `${installed.out}${installed.err}`;
  expect(
    !/ignored build scripts|approve-(builds|scripts)|must be built|node-gyp/i.test(talk),
    `something was to be built: ${talk}`,
  );

  const used = project.manage([...manager.node, "program.mjs"]);
  expect(used.status === 0, `the program failed: ${used.err.trim()}`);
  const said = JSON.parse(used.out.trim().split("\n").at(-1) ?? "") as Readonly<Record<string, unknown>>;
  const { core, models, shim, loaded } = said as { core: number; models: string[]; shim: string; loaded: string[] };
  expect(core === 12, `the core says ${core}`);
  expect(models.join() === platforms.map((name) => `${name} true`).join(), `the model says ${models.join()}`);
  expect(shim === "1,2,3 true", `the shim says ${shim}`);
  const [file = "none"] = loaded;
  expect(
    loaded.length === 1 && /\/dma-window\/prebuilds\/linux-\w+\/vfio_shim\.node$/.test(file),
    `the shim is ${loaded.join() || "none"}`,
  );
  expect(file.startsWith(project.at), `${file} is not in the project`);
  expect(!existsSync(join(dirname(file), "../../build")), "something was built");

  const command = (...words: readonly string[]) => project.manage([...manager.command, ...words]);
  const plan = command("plan", "--grow-to", "1G", "--json");
  expect(
    plan.status === 0 && jsonIn(plan.out) !== undefined,
    `dma-window plan failed: ${plan.err.trim()} ${plan.out.slice(-200)}`,
  );
  if (!/\bdoctor\b/.test(command("--help").out)) return;
  const doctor = command("doctor", "--json");
  const page = jsonIn(doctor.out) as { ready?: unknown; facts?: unknown } | undefined;
  expect(
    typeof page?.ready === "boolean" && page.facts !== undefined,
    `dma-window doctor failed on Node ${major}: ${doctor.err.trim()}`,
  );
}

function expect(is: boolean, otherwise: string): void {
  if (!is) throw new Error(otherwise.replace(/\s+/g, " ").slice(-1500));
}

/** The document in what a command printed; a manager may have said something before it, or behind. */
function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));
  } catch {
    return undefined;
  }
}

function whereIs(name: string): string {
  for (const directory of ["/usr/bin", "/bin"]) if (existsSync(join(directory, name))) return join(directory, name);
  throw new Error(`${name} is not on this machine`);
}
