import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { cpio, directory, entriesIn, file, link, program } from "./cpio.ts";

interface Read {
  readonly path: string;
  readonly mode: number;
  readonly links: number;
  readonly content: string;
}

/** An archive as the kernel reads it: every number where the format has it. */
function read(archive: Buffer): { entries: Read[]; end: number } {
  const entries: Read[] = [];
  let at = 0;
  for (;;) {
    assert.is(archive.toString("latin1", at, at + 6), "070701", `magic at ${at}`);
    const start = at;
    const field = (index: number) =>
      Number.parseInt(archive.toString("latin1", start + 6 + index * 8, start + 14 + index * 8), 16);
    const [mode, links, size, nameLength] = [field(1), field(4), field(6), field(11)];
    const name = archive.toString("utf8", at + 110, at + 110 + nameLength);
    assert.is(name.at(-1), "\0", "the name ends with NUL");
    const content = (at + 110 + nameLength + 3) & ~3;
    at = (content + size + 3) & ~3;
    if (name === "TRAILER!!!\0") return { entries, end: at };
    entries.push({ path: name.slice(0, -1), mode, links, content: archive.toString("utf8", content, content + size) });
  }
}

test("an archive holds files, programs, links and directories, as the kernel reads them", () => {
  const { entries } = read(
    cpio([directory("dev"), file("a", "text"), program("init", "#!"), link("sh", "busybox"), file("empty", "")]),
  );
  assert.equal(entries, [
    { path: "dev", mode: 0o040755, links: 2, content: "" },
    { path: "a", mode: 0o100644, links: 1, content: "text" },
    { path: "init", mode: 0o100755, links: 1, content: "#!" },
    { path: "sh", mode: 0o120755, links: 1, content: "busybox" },
    { path: "empty", mode: 0o100644, links: 1, content: "" },
  ]);
});

test("names and contents of every length are padded to where the next entry is looked for", () => {
  const lengths = Array.from({ length: 9 }, (_, i) => i);
  const entries = lengths.flatMap((a) => lengths.map((b) => file(`${"n".repeat(a + 1)}${b}`, "c".repeat(b))));
  const found = read(cpio(entries)).entries;
  assert.equal(
    found.map(({ path, content }) => [path, content]),
    entries.map(({ path, content }) => [path, content]),
  );
});

test("an archive's length is a multiple of 512, and nothing but zeros follows its end", () => {
  for (const length of [0, 1, 200, 511, 512, 513]) {
    const archive = cpio([file("f", "x".repeat(length))]);
    assert.is(archive.length % 512, 0);
    assert.ok(archive.subarray(read(archive).end).every((byte) => byte === 0));
  }
});

test("directories above an entry are added once, and before it: the kernel makes none by itself", () => {
  const { entries } = read(cpio([file("a/b/c", ""), file("a/b/d", ""), directory("a/e")]));
  assert.equal(
    entries.map(({ path }) => path),
    ["a", "a/b", "a/b/c", "a/b/d", "a/e"],
  );
});

test("bytes are kept as they are, also those of a view into a larger buffer", () => {
  const bytes = new Uint8Array([9, 0, 255, 128, 9]).subarray(1, 4);
  const archive = cpio([file("f", bytes)]);
  const at = (110 + 2 + 3) & ~3;
  assert.equal([...archive.subarray(at, at + 3)], [0, 255, 128]);
});

test("a directory of this machine becomes entries: links stay links, and what is not wanted is left out", () => {
  const at = mkdtempSync(join(tmpdir(), "dma-window-"));
  try {
    mkdirSync(join(at, "sub/unwanted"), { recursive: true });
    writeFileSync(join(at, "sub/run"), "text", { mode: 0o755 });
    symlinkSync("run", join(at, "sub/link"));
    symlinkSync("/nowhere", join(at, "dangling"));
    const found = entriesIn(at, "root", (path) => !path.endsWith("unwanted"));
    const byPath = new Map(found.map((entry) => [entry.path, entry]));
    assert.equal([...byPath.keys()].sort(), ["root/dangling", "root/sub", "root/sub/link", "root/sub/run"]);
    assert.is(byPath.get("root/dangling")?.content, "/nowhere");
    assert.is(byPath.get("root/sub/link")?.kind, "link");
    assert.is(byPath.get("root/sub/run")?.mode, 0o755);
  } finally {
    rmSync(at, { recursive: true });
  }
});

test.run();
