/**
 * Packages of another architecture and other releases of Debian, fetched by this machine's apt with a state of its own: the
 * machine's own lists, configuration and installed packages stay as they are.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isSilence, mirrorIn, type Package, type PackageFile, packageFilesIn, packagesIn } from "./packages.ts";
import { persist, Refused, run } from "./run.ts";
import type { Suite } from "./suites.ts";
import { inPassing } from "./unpack.ts";

/** Seconds for an index, and for a question that apt answers from it. */
const FOR_INDEX = 150;
const FOR_ANSWER = 60;
/** Bytes in a second: a mirror that is slower than this is given up. */
const SLOWEST = 200_000;

export interface AptOptions {
  /** apt's alone; stays for the next time. */
  readonly directory: string;
  /** Debian's name for it: `ppc64el`. */
  readonly architecture: string;
  readonly say: (line: string) => void;
  /** Default: the one that this machine's own apt uses. That of security updates is beside it, with `-security` behind. */
  readonly mirror?: string;
  /** Before the second attempt; more before those after it. */
  readonly pauseMs?: number;
  /** Mirrors that gave no answer at all, and what was said of them: they are not asked again. To be shared by all in a run. */
  readonly silent?: Map<string, string>;
}

export class Apt {
  readonly #directory: string;
  readonly #architecture: string;
  readonly #say: (line: string) => void;
  readonly #mirror: string | undefined;
  readonly #pauseMs: number;
  readonly #silent: Map<string, string>;
  /** The suites whose index was asked for in this run; what went wrong, where that is so. */
  readonly #asked = new Map<string, Error | undefined>();

  constructor({ directory, architecture, say, mirror, pauseMs = 1000, silent = new Map() }: AptOptions) {
    this.#directory = directory;
    this.#architecture = architecture;
    this.#say = say;
    this.#mirror = mirror;
    this.#pauseMs = pauseMs;
    this.#silent = silent;
  }

  /** Where the files of packages are kept. */
  get debs(): string {
    return join(this.#directory, "debs");
  }

  /** The packages of such a name in a suite, in every version that its index has. @throws Error when there is no index. */
  async named(suite: Suite, begin: string, pattern: RegExp): Promise<Package[]> {
    await this.#update(suite);
    const conf = this.#configure([suite]);
    const names = this.#ask(conf, "apt-cache", ["pkgnames", begin]).split("\n");
    const wanted = names.map((name) => name.trim()).filter((name) => pattern.test(name));
    const found = wanted.length === 0 ? [] : packagesIn(this.#ask(conf, "apt-cache", ["madison", ...wanted.sort()]));
    // An index of before serves where a new one cannot be read.
    const error = this.#asked.get(suite.name);
    if (found.length === 0 && error !== undefined) throw error;
    return found;
  }

  /** The path of one package's file. @throws Error */
  async fetch(suite: Suite, { name, version }: Package): Promise<string> {
    await this.#update(suite);
    const [path] = await this.#fetch([suite], ["download", `${name}=${version}`], name);
    if (path === undefined) throw new Error(`apt names no file for ${name}`);
    return path;
  }

  /** The paths of these packages' files, and of all that they need, from suites that belong together. @throws Error */
  async fetchAll(suites: readonly Suite[], names: readonly string[]): Promise<string[]> {
    for (const suite of suites) await this.#update(suite);
    const paths = await this.#fetch(suites, ["install", "-y", ...names], names[0] ?? "");
    if (paths.length > 0) return paths;
    throw suites.map(({ name }) => this.#asked.get(name)).find(Boolean) ?? new Error(`apt names no file for ${names}`);
  }

  async #fetch(suites: readonly Suite[], [command = "", ...what]: readonly string[], name: string): Promise<string[]> {
    const conf = this.#configure(suites);
    const files = packageFilesIn(this.#ask(conf, "apt-get", [command, "--print-uris", ...what]));
    const absent = files.filter((file) => !isWhole(this.debs, file));
    const size = absent.reduce((sum, file) => sum + file.size, 0);
    if (absent.length > 0) {
      const number = `${absent.length} ${absent.length === 1 ? "package" : "packages"}`;
      this.#say(`fetching ${name} for ${this.#architecture}: ${number}, ${Math.ceil(size / 1e6)} MB`);
      await this.#persist(`fetching ${name}`, suites, () => this.#download(conf, absent));
    }
    return files.map(({ file }) => join(this.debs, file));
  }

  /** Every file comes into a directory beside the others first, so that what is among the others is whole. */
  #download(conf: string, files: readonly PackageFile[]): void {
    const absent = files.filter((file) => !isWhole(this.debs, file));
    mkdirSync(this.debs, { recursive: true });
    inPassing(this.#directory, "coming", (coming) => this.#downloadInto(coming, conf, absent));
  }

  #downloadInto(coming: string, conf: string, absent: readonly PackageFile[]): void {
    try {
      const size = absent.reduce((sum, file) => sum + file.size, 0);
      const names = absent.map(({ name, version }) => `${name}=${version}`);
      const seconds = FOR_ANSWER + Math.ceil(size / SLOWEST);
      run({ program: "apt-get", args: ["-c", conf, "download", ...names], cwd: coming, seconds });
      const torn = absent.find((file) => !isWhole(coming, file));
      if (torn !== undefined) throw new Error(`${torn.file} did not arrive whole`);
    } finally {
      // What arrived need not come again, though others did not.
      for (const file of absent)
        if (isWhole(coming, file)) renameSync(join(coming, file.file), join(this.debs, file.file));
    }
  }

  /** Reads a suite's index, once. */
  async #update(suite: Suite): Promise<void> {
    if (this.#asked.has(suite.name)) return;
    this.#say(`reading the list of ${suite.name}'s packages for ${this.#architecture}`);
    try {
      await this.#persist(`reading the list of ${suite.name}`, [suite], () => {
        const conf = this.#configure([suite]);
        run({ program: "apt-get", args: ["-c", conf, "update"], cwd: this.#directory, seconds: FOR_INDEX });
      });
      this.#asked.set(suite.name, undefined);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#asked.set(suite.name, new Error(`its list cannot be read: ${reason}`));
    }
  }

  #ask(conf: string, program: string, args: readonly string[]): string {
    return run({ program, args: ["-c", conf, ...args], cwd: this.#directory, seconds: FOR_ANSWER });
  }

  /** A mirror that gave no answer three times gives none a moment later: what else is wanted of it does not wait again. */
  async #persist<T>(what: string, suites: readonly Suite[], attempt: () => T): Promise<T> {
    const hosts = [...new Set(suites.map((suite) => hostOf(this.#mirrorOf(suite))))];
    const silent = hosts.map((host) => this.#silent.get(host)).find((reason) => reason !== undefined);
    if (silent !== undefined) throw new Refused(silent);
    try {
      return await persist(what, attempt, { say: this.#say, pauseMs: this.#pauseMs });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      const [host, ...others] = hosts;
      // Of several nobody knows which it was.
      if (host !== undefined && others.length === 0 && isSilence(reason))
        this.#silent.set(host, `${host} gave no answer to an earlier question`);
      throw error;
    }
  }

  /** The path of a configuration with which apt knows these suites and nothing else. */
  #configure(suites: readonly Suite[]): string {
    const at = (path: string) => join(this.#directory, path);
    const own = suites.map(({ name }) => name).join("+");
    for (const path of ["lists/partial", "debs", `cache/${own}/archives/partial`])
      mkdirSync(at(path), { recursive: true });
    if (!existsSync(at("status"))) writeFileSync(at("status"), "");
    const signed = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg";
    const sources = suites.map((suite) => `deb [${signed}] ${this.#mirrorOf(suite)} ${suite.name} main\n`);
    keep(at(`${own}.list`), sources.join(""));
    keep(
      at(`${own}.conf`),
      [
        `Dir::State "${at("")}"; Dir::State::lists "${at("lists")}"; Dir::State::status "${at("status")}";`,
        `Dir::Cache "${at(`cache/${own}`)}"; Dir::Cache::archives "${at(`cache/${own}/archives`)}";`,
        `Dir::Etc::sourcelist "${at(`${own}.list`)}"; Dir::Etc::sourceparts "/dev/null";`,
        'Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null";',
        "#clear APT::Architectures; #clear APT::Update::Post-Invoke; #clear APT::Update::Post-Invoke-Success;",
        `APT::Architecture "${this.#architecture}"; APT::Architectures { "${this.#architecture}"; };`,
        // Without this an index that was not fetched is only a warning.
        'APT::Update::Error-Mode "any"; APT::Install-Recommends "false"; APT::Get::List-Cleanup "false"; APT::Sandbox::User "root";',
        'Acquire::Retries "0"; Acquire::http::Timeout "20"; Acquire::https::Timeout "20"; Acquire::Languages "none";',
        'Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";',
        "",
      ].join("\n"),
    );
    return at(`${own}.conf`);
  }

  #mirrorOf({ archive }: Suite): string {
    const sources = this.#mirror === undefined ? sourcesOfThisMachine() : [];
    const main = this.#mirror ?? mirrorIn(sources);
    if (main === undefined)
      throw new Refused(
        "no Debian mirror in this machine's apt sources (/etc/apt/sources.list.d); DMA_WINDOW_MIRROR names one",
      );
    return archive === "debian" ? main : (mirrorIn(sources, archive) ?? `${main}-security`);
  }
}

/** Writes only what is not there yet: another run of the harness may be reading it. */
function keep(path: string, text: string): void {
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) writeFileSync(path, text);
}

function isWhole(directory: string, { file, size }: PackageFile): boolean {
  const path = join(directory, file);
  return existsSync(path) && statSync(path).size === size;
}

/** `mirror.example:80` of `http://mirror.example:80/debian`; a directory of this machine stands for itself. */
function hostOf(mirror: string): string {
  return /\/\/([^/]+)\//.exec(mirror)?.[1] ?? mirror;
}

function sourcesOfThisMachine(): string[] {
  const parts = "/etc/apt/sources.list.d";
  const files = existsSync(parts) ? readdirSync(parts).filter((name) => /\.(list|sources)$/.test(name)) : [];
  const paths = ["/etc/apt/sources.list", ...files.sort().map((name) => join(parts, name))];
  return paths.filter((path) => existsSync(path)).map((path) => readFileSync(path, "utf8"));
}
