/** The harness's apt, with a mirror of the test's own: what is fetched, when, and how often. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Apt } from "./apt.ts";
import { type FakeMirror, withMirror } from "./fake-mirror.ts";
import type { Suite } from "./suites.ts";

const trixie: Suite = { name: "trixie", archive: "debian" };
const security: Suite = { name: "trixie-security", archive: "debian-security" };
const content = { "usr/bin/p": "good" };

function aptOn({ cache }: FakeMirror): Apt {
  return new Apt({ directory: cache, architecture: "ppc64el", say: () => {}, mirror: "http://m/debian", pauseMs: 1 });
}

const reasonOf = (promise: Promise<unknown>) => promise.then(() => "none", String);

test("a suite's packages are those of its index, and one is fetched by its version", async () => {
  await withMirror(async (mirror) => {
    mirror.suite("trixie", "p 2", "p-other 9", "q 1").has("p 2", content);
    const apt = aptOn(mirror);
    assert.equal(await apt.named(trixie, "p", /^p$/), [{ name: "p", version: "2" }]);
    const path = await apt.fetch(trixie, { name: "p", version: "2" });
    assert.ok(readFileSync(path).includes("good"));
    assert.equal(mirror.asked(), [
      "apt-get update [trixie]",
      "apt-cache pkgnames p [trixie]",
      "apt-cache madison p [trixie]",
      "apt-get download --print-uris p=2 [trixie]",
      "apt-get download p=2 [trixie]",
    ]);
    assert.equal(await apt.fetch(trixie, { name: "p", version: "2" }), path);
    assert.equal(mirror.asked(), ["apt-get download --print-uris p=2 [trixie]"]);
  });
});

test("apt knows the suites that are asked, for the guest's architecture, and nothing of this machine", async () => {
  await withMirror(async (mirror) => {
    mirror.suite("trixie", "p 1").suite("trixie-security", "p 2").has("p 2", content);
    await aptOn(mirror).fetchAll([trixie, security], ["p"]);
    assert.is(mirror.asked().at(-1), "apt-get download p=2 [trixie trixie-security]");
    const own = join(mirror.cache, "trixie+trixie-security");
    const [main = "", other = ""] = readFileSync(`${own}.list`, "utf8").split("\n");
    assert.match(main, /^deb \[signed-by=.*\] http:\/\/m\/debian trixie main$/);
    assert.match(other, / http:\/\/m\/debian-security trixie-security main$/);
    const conf = readFileSync(`${own}.conf`, "utf8");
    assert.match(conf, 'APT::Architecture "ppc64el"');
    assert.match(conf, 'Dir::Etc::sourceparts "/dev/null"');
  });
});

test("a download that arrives torn is fetched again, three times in all, and nothing torn is kept", async () => {
  await withMirror(async (mirror) => {
    mirror.suite("trixie", "p 2").has("p 2", content).torn(2);
    const apt = aptOn(mirror);
    const fetches = () => mirror.asked().filter((line) => line.startsWith("apt-get download p=2")).length;
    assert.ok(existsSync(await apt.fetch(trixie, { name: "p", version: "2" })));
    assert.is(fetches(), 3);
    mirror.suite("trixie", "q 1").has("q 1", content).torn(99);
    const reason = await reasonOf(aptOn(mirror).fetch(trixie, { name: "q", version: "1" }));
    assert.is(reason, "Error: q_1_arch.deb did not arrive whole");
    assert.is(fetches(), 0);
    assert.equal(readdirSync(apt.debs), ["p_2_arch.deb"]);
    assert.equal(
      readdirSync(mirror.cache).filter((name) => name.startsWith("coming")),
      [],
    );
  });
});

test("a file that was cut short since then is fetched again", async () => {
  await withMirror(async (mirror) => {
    mirror.suite("trixie", "p 2").has("p 2", content);
    const path = await aptOn(mirror).fetch(trixie, { name: "p", version: "2" });
    writeFileSync(path, "g");
    await aptOn(mirror).fetch(trixie, { name: "p", version: "2" });
    assert.ok(readFileSync(path).includes("good"));
  });
});

test("what the mirror does not have is asked for once", async () => {
  await withMirror(async (mirror) => {
    mirror.suite("trixie", "p 2");
    const reason = await reasonOf(aptOn(mirror).fetch(trixie, { name: "p", version: "2" }));
    assert.is(reason, "Error: Failed to fetch http://m/pool/p_2.deb 404 Not Found");
    assert.is(mirror.asked().filter((line) => line.startsWith("apt-get download p=2")).length, 1);
  });
});

test("an index that did not arrive is asked for again, three times in all", async () => {
  await withMirror(async (mirror) => {
    mirror.suite("trixie", "p 2").fails("trixie", 2);
    assert.is((await aptOn(mirror).named(trixie, "p", /^p$/)).length, 1);
    assert.is(mirror.asked().filter((line) => line.startsWith("apt-get update")).length, 3);
    mirror.suite("trixie-security", "p 3").fails("trixie-security", 99);
    const apt = aptOn(mirror);
    const reason = await reasonOf(apt.named(security, "p", /^p$/));
    assert.match(reason, /its list cannot be read: .*unexpected size .*Mirror sync in progress/);
    assert.is(await reasonOf(apt.named(security, "p", /^p$/)), reason);
    assert.is(mirror.asked().filter((line) => line.startsWith("apt-get update")).length, 3);
  });
});

test("where an index cannot be read, the one of before serves", async () => {
  await withMirror(async (mirror) => {
    mirror.suite("trixie", "p 2").has("p 2", content);
    await aptOn(mirror).named(trixie, "p", /^p$/);
    mirror.suite("trixie", "p 3").fails("trixie", 99);
    const apt = aptOn(mirror);
    assert.equal(await apt.named(trixie, "p", /^p$/), [{ name: "p", version: "2" }]);
    assert.ok(existsSync(await apt.fetch(trixie, { name: "p", version: "2" })));
  });
});

test("a suite that the mirror has not is asked for once", async () => {
  await withMirror(async (mirror) => {
    const reason = await reasonOf(aptOn(mirror).named(trixie, "p", /^p$/));
    assert.match(reason, /its list cannot be read: The repository .* does not have a Release file/);
    assert.is(mirror.asked().filter((line) => line.startsWith("apt-get update")).length, 1);
    assert.match(await reasonOf(aptOn(mirror).fetchAll([trixie], ["p"])), /Unable to locate package p/);
  });
});

test("a package with all that it needs comes from the suites that can be read", async () => {
  await withMirror(async (mirror) => {
    mirror.suite("trixie", "p 2", "q 1").has("p 2", content).has("q 1", content);
    mirror.suite("trixie-security", "p 3").fails("trixie-security", 99);
    const paths = await aptOn(mirror).fetchAll([trixie, security], ["p", "q"]);
    assert.equal(
      paths.map((path) => path.slice(path.lastIndexOf("/") + 1)),
      ["p_2_arch.deb", "q_1_arch.deb"],
    );
  });
});

test("two runs share one directory", async () => {
  await withMirror(async (mirror) => {
    mirror.suite("trixie", "p 2", "q 1").has("p 2", content).has("q 1", content);
    mkdirSync(join(mirror.cache, "debs"));
    const one = aptOn(mirror).fetch(trixie, { name: "p", version: "2" });
    const other = aptOn(mirror).fetch(trixie, { name: "q", version: "1" });
    for (const path of await Promise.all([one, other])) assert.ok(existsSync(path));
  });
});

test.run();
