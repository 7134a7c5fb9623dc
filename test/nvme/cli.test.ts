/** The command line, as a program: what it says, what it refuses, and its exit codes. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { main } from "../../examples/nvme/cli.mjs";
import { root } from "../package/imports.ts";
import { pattern } from "./rig.ts";

const cli = suite<{ folder: string; image: string }>("the command line of the NVMe driver");

cli.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), "dma-window-nvme-"));
  context.image = join(context.folder, "image");
  writeFileSync(context.image, new Uint8Array(1 << 20));
});

cli.after.each(({ folder }) => rmSync(folder, { recursive: true }));

/** In this process: a program of its own for each would take most of the time. */
const nvme = async (...words: readonly string[]) => {
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const output = { log: (text: string) => stdout.push(text), error: (text: string) => stderr.push(text) };
  return { status: await main(words, output), stdout: stdout.join("\n"), stderr: stderr.join("\n") };
};

cli("is a program whose exit code says whether the data was right", ({ image }) => {
  const run = (...words: readonly string[]) =>
    spawnSync(process.execPath, ["examples/nvme/main.mjs", ...words], { cwd: root, encoding: "utf8" });
  assert.is(run("read", "--image", image).status, 0);
  assert.is(run("read", "--image", image, "--lba", "99999").status, 1);
  assert.is(run("reed").status, 2);
  const help = run();
  assert.is(help.status, 0);
  assert.match(help.stdout, /--i-know/);
});

for (const platform of ["powernv", "pseries", "type1", "noiommu"]) {
  cli(`info says what is there: ${platform}`, async () => {
    const { status, stdout, stderr } = await nvme("info", "--kernel", "model", "--platform", platform);
    assert.is(status, 0, stderr);
    assert.match(stdout, /^device +0000:01:00\.0$/m);
    assert.match(stdout, /^model +\S/m);
    assert.match(stdout, /^namespace 1 +32768 blocks of 512 bytes; its beginning and end are empty$/m);
  });

  for (const mode of ["--poll", "--msix", "--intx"]) {
    cli(`what is written is read: ${platform} ${mode}`, async ({ folder, image }) => {
      const data = pattern(200 << 10);
      const [input, output] = [join(folder, "in"), join(folder, "out")];
      writeFileSync(input, data);
      const machine = ["--platform", platform, "--image", image, mode, "--queues", "2", "--depth", "8"];
      const written = await nvme("write", ...machine, "--lba", "7", "--file", input, "--i-know");
      assert.is(written.status, 0, written.stderr);
      const read = await nvme("read", ...machine, "--lba", "7", "--blocks", "400", "--out", output, "--file", input);
      assert.is(read.status, 0, read.stderr);
      assert.equal(readFileSync(output), Buffer.from(data));
      const expected = new Uint8Array(1 << 20);
      expected.set(data, 7 * 512);
      assert.equal(readFileSync(image), Buffer.from(expected));
    });
  }
}

cli("a device at another address is at that one", async () => {
  const { status, stdout } = await nvme("info", "--device", "0002:03:04.0");
  assert.is(status, 0);
  assert.match(stdout, /^device +0002:03:04\.0$/m);
});

cli("nothing is written without --i-know, and what would be lost is named", async ({ folder, image }) => {
  const input = join(folder, "in");
  writeFileSync(input, pattern(512));
  const empty = await nvme("write", "--image", image, "--file", input);
  assert.is(empty.status, 1);
  assert.match(empty.stderr, /nothing was written\. The disk holds nothing that is known here/);
  const disk = new Uint8Array(1 << 20);
  disk.set(Buffer.from("EFI PART"), 512);
  writeFileSync(image, disk);
  const full = await nvme("write", "--image", image, "--file", input);
  assert.is(full.status, 1);
  assert.match(full.stderr, /ERR_NVME_NOT_FORCED: .*holds a GPT \(partition table\)/);
  assert.equal(readFileSync(image), Buffer.from(disk));
  assert.is((await nvme("write", "--image", image, "--file", input, "--i-know")).status, 0);
  assert.match((await nvme("info", "--image", image)).stdout, /holds a GPT/);
});

cli("the exit code is 1 where the data is not what the file has", async ({ folder, image }) => {
  const input = join(folder, "in");
  writeFileSync(input, pattern(1024));
  const { status, stderr } = await nvme("read", "--image", image, "--lba", "3", "--file", input);
  assert.is(status, 1);
  assert.match(
    stderr,
    /^ERR_NVME_DATA: \d+ of 1024 bytes from LBA 3 on are wrong, the first in block 3: it is not what .*in has/,
  );
});

cli("a file that is shorter than what was asked for, or is no whole blocks, is refused", async ({ folder, image }) => {
  const input = join(folder, "in");
  writeFileSync(input, pattern(1024));
  const short = await nvme("write", "--image", image, "--file", input, "--blocks", "3", "--i-know");
  assert.is(short.status, 2);
  assert.match(short.stderr, /has 1024 bytes; 3 blocks of 512 have 1536/);
  writeFileSync(input, pattern(1000));
  const odd = await nvme("write", "--image", image, "--file", input, "--i-know");
  assert.is(odd.status, 2);
  assert.match(odd.stderr, /whole blocks of 512 are wanted/);
  assert.equal(readFileSync(image), Buffer.alloc(1 << 20));
});

cli("blocks behind the end are refused with the numbers", async ({ image }) => {
  const { status, stderr } = await nvme("read", "--image", image, "--lba", "2047", "--blocks", "2");
  assert.is(status, 1);
  assert.match(stderr, /2 blocks from LBA 2047 on are behind the namespace's end: it has 2048 blocks/);
});

for (const mode of ["--poll", "--msix", "--intx"]) {
  cli(`bench reads, and looks at the answers: ${mode}`, async ({ image }) => {
    writeFileSync(image, pattern(1 << 20));
    const { status, stdout, stderr } = await nvme("bench", "--image", image, mode, "--seconds", "0.2", "--json");
    assert.is(status, 0, stderr);
    const { right, reads, wrong, inFlight } = JSON.parse(stdout);
    assert.equal({ right, wrong, inFlight }, { right: true, wrong: 0, inFlight: 32 });
    assert.ok(reads > 32, stdout);
  });
}

cli("wrong usage is 2, and says what would be right", async () => {
  for (const [words, said] of [
    [["reed"], /the command is one of info, read, write, bench; got "reed"/],
    [["read", "--lba", "x"], /--lba is a whole number from 0 to/],
    [["read", "--poll", "--intx"], /one of --poll, --msix and --intx/],
    [["read", "--kernel", "linux"], /--kernel linux wants --device ADDRESS/],
    [["read", "--kernel", "bsd"], /--kernel is one of model, linux/],
    [["write", "--i-know"], /write wants --file FILE/],
    [["read", "--blok", "1"], /--blok/],
    [["bench", "--blocks", "100000"], /a command moves at most 131072/],
  ] as const) {
    const { status, stderr } = await nvme(...words);
    assert.is(status, 2, words.join(" "));
    assert.match(stderr, said);
  }
});

cli("--json says what went wrong, for programs", async ({ image }) => {
  const { status, stdout } = await nvme("read", "--image", image, "--lba", "99999", "--json");
  assert.is(status, 1);
  const { right, code, has } = JSON.parse(stdout);
  assert.equal({ right, code, has }, { right: false, code: "ERR_NVME_RANGE", has: 2048 });
});

cli.run();
