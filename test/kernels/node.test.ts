/** Which Node a guest gets, with a mirror and an npm of the test's own. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Apt } from "./apt.ts";
import { type FakeMirror, withMirror } from "./fake-mirror.ts";
import { power } from "./guests.ts";
import type { Shop } from "./kernels.ts";
import { nodeOf } from "./node.ts";

const BUILD = "node-linux-ppc64le@20.11.0";
const LIB = "powerpc64le-linux-gnu";
const libraries = ["libc6", "libstdc++6", "libgcc-s1", "libatomic1"];

function shopOn(mirror: FakeMirror): Shop {
  const say = () => {};
  const directory = join(mirror.cache, "apt");
  mkdirSync(directory, { recursive: true });
  const apt = new Apt({ directory, architecture: "ppc64el", say, mirror: "http://m/debian", pauseMs: 1 });
  return { apt, architecture: power, cache: mirror.cache, say };
}

const take = (mirror: FakeMirror, fresh = false) => nodeOf(shopOn(mirror), { fresh });

const debians = (mirror: FakeMirror) =>
  mirror
    .suite("trixie", "nodejs 20")
    .has("nodejs 20", { "usr/bin/node": "Debian's", [`usr/lib/${LIB}/libnode.so`]: "library" });

/** npm's build, over the libraries that a suite names; those of such a version are there. */
function npms(mirror: FakeMirror, suite: string, version: string): FakeMirror {
  mirror.npm(BUILD, { "package/bin/node": "npm's", "package/include/node/node.h": "much" });
  mirror.suite(suite, ...libraries.map((name) => `${name} ${version}`));
  for (const name of libraries)
    mirror.has(`${name} ${version}`, { [`lib/${LIB}/${name}.so`]: name, "lib64/ld64.so.2": "loader" });
  return mirror;
}

test("Debian's Node is taken where it can be had, and is there the next time without a question", async () => {
  await withMirror(async (mirror) => {
    npms(debians(mirror), "bookworm", "1");
    const first = await take(mirror);
    assert.is(first.origin.from, "nodejs 20 (trixie, trixie-security, trixie-updates)");
    const layer = readFileSync(first.layer, "latin1");
    for (const text of ["Debian's", `usr/lib/${LIB}/libnode.so`]) assert.match(layer, text);
    mirror.asked();
    assert.equal((await take(mirror)).origin, { ...first.origin, isCached: true });
    assert.equal(mirror.asked(), []);
  });
});

test("npm's build takes its place, over Debian 12's libraries, at the places where it looks for them", async () => {
  await withMirror(async (mirror) => {
    npms(mirror, "bookworm", "1").suite("trixie", "nodejs 20");
    const { layer, origin } = await take(mirror);
    assert.is(origin.from, `npm's ${BUILD} over libc6 1 (bookworm, bookworm-security, bookworm-updates)`);
    assert.match(origin.passedOver.map(({ reason }) => reason).join(), /nodejs_20\.deb 404 Not Found/);
    const text = readFileSync(layer, "latin1");
    for (const part of ["npm's", `usr/lib/${LIB}/libc6.so`, "usr/lib64/ld64.so.2"]) assert.match(text, part);
    assert.not.match(text, "much");
    assert.is(mirror.asked().filter((line) => line.startsWith("npm pack")).length, 1);
    assert.is((await take(mirror)).origin.isCached, true);
  });
});

test("an update that is named and cannot be had leads back to the release", async () => {
  await withMirror(async (mirror) => {
    npms(mirror, "bookworm", "1").suite("bookworm-security", "libc6 2");
    assert.is((await take(mirror)).origin.from, `npm's ${BUILD} over libc6 1 (bookworm)`);
  });
});

test("the cache of before, with one Node in it, serves", async () => {
  await withMirror(async (mirror) => {
    writeFileSync(join(mirror.cache, "node.cpio.zst"), "an archive");
    const { layer, origin } = await take(debians(mirror));
    assert.is(readFileSync(layer, "utf8"), "an archive");
    assert.is(origin.isCached, true);
    assert.equal(mirror.asked(), []);
    assert.is((await take(mirror, true)).origin.isCached, false);
  });
});

test("when nothing can be had, all that was tried is said, each once", async () => {
  await withMirror(async (mirror) => {
    mirror.suite("trixie", "nodejs 20").suite("bookworm", "libc6 1");
    const error = await take(mirror).then(
      () => undefined,
      (reason: Error) => reason,
    );
    const lines = error?.message.split("\n") ?? [];
    assert.is(lines[0], "Node for ppc64el: nothing can be had. Tried:");
    assert.is(lines.filter((line) => / {2}nodejs \(.*404 Not Found/.test(line)).length, 2);
    assert.is(lines.filter((line) => line.includes(BUILD) && line.includes("404 Not Found")).length, lines.length - 3);
    // A no of npm's is final too.
    assert.is(mirror.asked().filter((line) => line.startsWith("npm pack")).length, 1);
    assert.not(existsSync(join(mirror.cache, "node")));
  });
});

test.run();
