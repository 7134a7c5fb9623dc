/** The harness's apt, with a mirror and programs of the test's own: what is fetched, when, and how often. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Apt } from "./apt.ts";

/**
 * Stands in for apt-get and apt-cache: writes down what it is asked, knows one package of 4 bytes, and does as the files `torn`
 * and `fail` beside it say: so many downloads arrive torn, so many updates fail.
 */
const script = `#!/bin/sh
here=$(dirname "$0")
shift 2
echo "$(basename "$0") $*" >> "$here/asked"
less() { [ -s "$here/$1" ] && n=$(cat "$here/$1") && [ "$n" -gt 0 ] && echo $((n - 1)) > "$here/$1"; }
case "$*" in
  update) if less fail; then echo "W: Failed to fetch"; fi ;;
  depends*) printf 'x\\n  Depends: linux-image-6.12-x\\n' ;;
  *--print-uris*) echo "'http://m/p_1%3a2_all.deb' p_1%3a2_all.deb 4 SHA256:00" ;;
  download*) if less torn; then printf 'to' > p_1%3a2_all.deb; else printf 'good' > p_1%3a2_all.deb; fi ;;
esac
`;

async function withApt(
  faults: Readonly<Record<string, number>>,
  run: (make: () => Apt, asked: () => string[], directory: string) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "dma-window-"));
  const bin = join(directory, "bin");
  const path = process.env.PATH;
  mkdirSync(bin);
  for (const name of ["apt-get", "apt-cache"]) writeFileSync(join(bin, name), script, { mode: 0o755 });
  for (const [name, times] of Object.entries(faults)) writeFileSync(join(bin, name), `${times}\n`);
  process.env.PATH = `${bin}:${path}`;
  const log = join(bin, "asked");
  const asked = () => {
    const lines = existsSync(log) ? readFileSync(log, "utf8").trim().split("\n") : [];
    rmSync(log, { force: true });
    return lines;
  };
  const own = join(directory, "own");
  mkdirSync(own);
  const options = { directory: own, architecture: "ppc64el", say: () => {}, mirror: "http://m/debian", pauseMs: 1 };
  try {
    await run(() => new Apt(options), asked, own);
  } finally {
    process.env.PATH = path;
    rmSync(directory, { recursive: true });
  }
}

test("a package is found, fetched once, and is there the next time without a question", async () => {
  await withApt({}, async (make, asked, directory) => {
    const [path = ""] = await make().fetch({ package: "p", with: "nothing" });
    assert.is(readFileSync(path, "utf8"), "good");
    assert.equal(asked(), ["apt-get update", "apt-get download --print-uris p", "apt-get download p=1:2"]);
    assert.equal(await make().fetch({ package: "p", with: "nothing" }), [path]);
    assert.equal(asked(), []);
    assert.match(
      readFileSync(join(directory, "sources.list"), "utf8"),
      /^deb \[signed-by=.*\] http:\/\/m\/debian trixie main/,
    );
    assert.match(readFileSync(join(directory, "apt.conf"), "utf8"), 'APT::Architecture "ppc64el"');
  });
});

test("a download that arrives torn is fetched again", async () => {
  await withApt({ torn: 2 }, async (make, asked) => {
    const [path = ""] = await make().fetch({ package: "p", with: "dependencies" });
    assert.is(readFileSync(path, "utf8"), "good");
    assert.is(asked().filter((line) => line === "apt-get download p=1:2").length, 3);
  });
});

test("a file that was cut short since then is fetched again", async () => {
  await withApt({}, async (make, asked) => {
    const [path = ""] = await make().fetch({ package: "p", with: "nothing" });
    writeFileSync(path, "g");
    asked();
    await make().fetch({ package: "p", with: "nothing" });
    assert.is(readFileSync(path, "utf8"), "good");
    assert.is(asked().length, 3);
  });
});

test("an index that did not arrive is asked for again, though apt takes it for a warning", async () => {
  await withApt({ fail: 2 }, async (make, asked) => {
    await make().fetch({ package: "p", with: "nothing" });
    assert.is(asked().filter((line) => line === "apt-get update").length, 3);
  });
});

test("a kernel is fetched by the version that its package depends on", async () => {
  await withApt({}, async (make, asked) => {
    await make().fetch({ package: "linux-image-x", with: "version" });
    const expected = ["apt-cache depends linux-image-x", "apt-get download --print-uris linux-image-6.12-x"];
    assert.equal(asked().slice(1, 3), expected);
  });
});

test("after five attempts the reason is given", async () => {
  await withApt({ torn: 99 }, async (make) => {
    const error = await make()
      .fetch({ package: "p", with: "nothing" })
      .then(() => undefined, String);
    assert.is(error, "Error: p_1%3a2_all.deb did not arrive whole");
  });
});

test.run();
