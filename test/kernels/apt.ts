/**
 * Packages of another architecture and another release of Debian, fetched by this machine's apt with a state of its own: the
 * machine's own lists, configuration and installed packages stay as they are.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { kernelIn, mirrorIn, type PackageFile, packageFilesIn } from "./packages.ts";

/** The release with Linux 6.12: in the one before it VFIO does not work on POWER. */
const SUITE = "trixie";

/** A download can arrive torn, and an index that is being replaced on the mirror cannot be read. */
const ATTEMPTS = 5;

/** What a package is fetched with: nothing, everything that it needs, or the package of a version that it stands for. */
export type Wanted = { readonly package: string; readonly with: "nothing" | "dependencies" | "version" };

export interface AptOptions {
  /** apt's alone; stays for the next time. */
  readonly directory: string;
  /** Debian's name for it: `ppc64el`. */
  readonly architecture: string;
  readonly say: (line: string) => void;
  /** Default: the one that this machine's own apt uses. */
  readonly mirror?: string;
  /** Before the second attempt; more before those after it. */
  readonly pauseMs?: number;
}

export class Apt {
  readonly #directory: string;
  readonly #architecture: string;
  readonly #say: (line: string) => void;
  readonly #mirror: string | undefined;
  readonly #pauseMs: number;
  #updated = false;

  constructor({ directory, architecture, say, mirror, pauseMs = 1000 }: AptOptions) {
    this.#directory = directory;
    this.#architecture = architecture;
    this.#say = say;
    this.#mirror = mirror;
    this.#pauseMs = pauseMs;
  }

  /** The paths of the files of a package; from the last time, if they are there. */
  async fetch(wanted: Wanted): Promise<string[]> {
    const debs = join(this.#directory, "debs");
    mkdirSync(debs, { recursive: true });
    const listFile = join(this.#directory, `${wanted.package}.json`);
    const paths = (files: readonly PackageFile[]) => files.map(({ file }) => join(debs, file));
    const known = existsSync(listFile) ? (JSON.parse(readFileSync(listFile, "utf8")) as PackageFile[]) : undefined;
    if (known?.every((file) => isWhole(debs, file))) return paths(known);
    const files = await this.#again(`finding ${wanted.package}`, () => this.#resolve(wanted));
    const absent = files.filter((file) => !isWhole(debs, file));
    const total = absent.reduce((sum, { size }) => sum + size, 0);
    this.#say(
      `fetching ${wanted.package} for ${this.#architecture}: ${absent.length} packages, ${Math.ceil(total / 1e6)} MB`,
    );
    await this.#again(`fetching ${wanted.package}`, () => this.#download(debs, absent));
    writeFileSync(`${listFile}.new`, JSON.stringify(files, null, 1));
    renameSync(`${listFile}.new`, listFile);
    return paths(files);
  }

  #resolve({ package: name, with: along }: Wanted): PackageFile[] {
    this.#update();
    const args =
      along === "dependencies"
        ? ["apt-get", "install", "-y", "--print-uris", name]
        : ["apt-get", "download", "--print-uris", along === "version" ? this.#versioned(name) : name];
    const files = packageFilesIn(this.#run(args));
    if (files.length === 0) throw new Error(`apt names no file for ${name}`);
    return files;
  }

  #versioned(name: string): string {
    const found = kernelIn(this.#run(["apt-cache", "depends", name]));
    if (found === undefined) throw new Error(`${name} depends on no kernel with a version`);
    return found;
  }

  #download(debs: string, files: readonly PackageFile[]): void {
    const absent = files.filter((file) => !isWhole(debs, file));
    for (const { file } of absent) rmSync(join(debs, file), { force: true });
    if (absent.length > 0)
      this.#run(["apt-get", "download", ...absent.map(({ name, version }) => `${name}=${version}`)], debs);
    const torn = absent.find((file) => !isWhole(debs, file));
    if (torn !== undefined) throw new Error(`${torn.file} did not arrive whole`);
  }

  #update(): void {
    if (this.#updated) return;
    this.#configure();
    this.#say(`reading the list of ${SUITE}'s packages for ${this.#architecture}`);
    // An index that was not fetched is only a warning to apt.
    const answer = this.#run(["apt-get", "update"]);
    if (/^(E:|W: Failed)/m.test(answer)) throw new Error(answer.trim().split("\n").at(-1));
    this.#updated = true;
  }

  #configure(): void {
    const at = (path: string) => join(this.#directory, path);
    for (const path of ["lists/partial", "cache/archives/partial"]) mkdirSync(at(path), { recursive: true });
    writeFileSync(at("status"), "");
    const signed = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg";
    writeFileSync(at("sources.list"), `deb [${signed}] ${this.#mirror ?? mirrorOfThisMachine()} ${SUITE} main\n`);
    writeFileSync(
      at("apt.conf"),
      [
        `Dir::State "${at("")}"; Dir::State::lists "${at("lists")}"; Dir::State::status "${at("status")}";`,
        `Dir::Cache "${at("cache")}"; Dir::Cache::archives "${at("cache/archives")}";`,
        `Dir::Etc::sourcelist "${at("sources.list")}"; Dir::Etc::sourceparts "/dev/null";`,
        'Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null";',
        "#clear APT::Architectures; #clear APT::Update::Post-Invoke; #clear APT::Update::Post-Invoke-Success;",
        `APT::Architecture "${this.#architecture}"; APT::Architectures { "${this.#architecture}"; };`,
        'APT::Install-Recommends "false"; APT::Get::List-Cleanup "false"; APT::Sandbox::User "root";',
        'Acquire::Languages "none"; Acquire::Retries "5"; Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";',
        "",
      ].join("\n"),
    );
  }

  /** What it prints. @throws Error with the last lines of it. */
  #run([program = "", ...args]: readonly string[], cwd = this.#directory): string {
    const { status, stdout, stderr } = spawnSync(program, ["-c", join(this.#directory, "apt.conf"), ...args], {
      cwd,
      encoding: "utf8",
      env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
      maxBuffer: 64 << 20,
    });
    if (status === 0) return `${stdout}\n${stderr}`;
    throw new Error(
      `${program} ${args.slice(0, 3).join(" ")}: ${`${stdout}${stderr}`.trim().split("\n").slice(-3).join("; ")}`,
    );
  }

  async #again<T>(what: string, run: () => T): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return run();
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
        this.#say(`${what} failed (${error instanceof Error ? error.message : error}); once more`);
        this.#updated = false;
        await pause(this.#pauseMs * attempt);
      }
    }
  }
}

function isWhole(directory: string, { file, size }: PackageFile): boolean {
  const path = join(directory, file);
  return existsSync(path) && statSync(path).size === size;
}

/** The mirror that this machine's own apt uses. @throws Error */
function mirrorOfThisMachine(): string {
  const parts = "/etc/apt/sources.list.d";
  const files = existsSync(parts) ? readdirSync(parts).filter((name) => /\.(list|sources)$/.test(name)) : [];
  const paths = ["/etc/apt/sources.list", ...files.sort().map((name) => join(parts, name))];
  const mirror = mirrorIn(paths.filter((path) => existsSync(path)).map((path) => readFileSync(path, "utf8")));
  if (mirror === undefined) throw new Error("no Debian mirror in this machine's apt sources (/etc/apt/sources.list.d)");
  return mirror;
}
