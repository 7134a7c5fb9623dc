/** What is looked at before something is written, and whether data is believed. Disks here are arrays, and misbehave as they are told. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { checkMayWrite, checkSame, contentsOfDisk, readSurely } from "../../examples/nvme/guards.mjs";
import type { Namespace } from "../../examples/nvme/namespace.mjs";

type Read = (lba: number, into: Uint8Array, options: { fill?: number }) => void;

/** A disk that answers each read with success, whatever it does. */
function diskThat(read: Read, blocks = 4096): Namespace {
  const namespace = {
    id: 1,
    blocks,
    blockBytes: 512,
    async read(lba: number, into: Uint8Array, options: { fill?: number } = {}) {
      into.fill(options.fill ?? 0);
      read(lba, into, options);
    },
  };
  return namespace as unknown as Namespace;
}

const message = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "done",
    (error: Error) => error.message,
  );

test("data that came is given", async () => {
  const got = await readSurely(
    diskThat((lba, into) => {
      for (let i = 0; i < into.length; i++) into[i] = lba + i;
    }),
    3,
    2,
  );
  assert.equal([...got.subarray(0, 3), got.length], [3, 4, 5, 1024]);
});

test("a device that answers with success and writes nothing is found out", async () => {
  const said = await message(
    readSurely(
      diskThat(() => {}),
      8,
      4,
    ),
  );
  assert.is(
    said,
    "2048 of 2048 bytes from LBA 8 on are wrong, the first in block 8: the device did not write all of the memory that it was given",
  );
});

for (const [what, from, to] of [
  ["its last byte", 2047, 2048],
  ["its second block", 512, 1024],
  ["one byte in the middle", 1300, 1301],
] as const) {
  test(`a device that leaves out ${what} is found out`, async () => {
    const disk = diskThat((_, into, { fill = 0 }) => {
      into.fill(9);
      into.fill(fill, from, to);
    });
    const block = Math.floor(from / 512);
    assert.match(
      await message(readSurely(disk, 0, 4)),
      new RegExp(`^${to - from} of 2048 bytes .* in block ${block}:`),
    );
  });
}

test("bytes that differ are counted, and one that is missing is a difference", () => {
  const disk = diskThat(() => {});
  checkSame(disk, 0, new Uint8Array(512), new Uint8Array(512), "");
  assert.throws(() => checkSame(disk, 0, new Uint8Array(512), new Uint8Array(511), "so"), /^1 of 512 bytes .*: so$/);
});

test("nothing is written unless it is forced, and it is said what would be lost", async () => {
  const gpt = diskThat((lba, into) => {
    into.fill(0);
    if (lba === 0) into.set(Buffer.from("EFI PART"), 512);
  });
  assert.equal(await contentsOfDisk(gpt), ["a GPT (partition table)"]);
  assert.match(
    await message(checkMayWrite(gpt, false)),
    /^nothing was written\. The disk holds a GPT \(partition table\): --i-know /,
  );
  const empty = diskThat((_, into) => into.fill(0));
  assert.equal(await contentsOfDisk(empty), []);
  assert.match(await message(checkMayWrite(empty, false)), /holds nothing that is known here: --i-know/);
  await checkMayWrite(gpt, true);
});

test("both ends are looked at, also of a disk that is smaller than what is read", async () => {
  for (const blocks of [1, 7, 512, 4096]) {
    const end = diskThat((lba, into) => {
      into.fill(0);
      const at = (blocks - 1 - lba) * 512;
      if (at >= 0 && at < into.length) into.set(Buffer.from("EFI PART"), at);
    }, blocks);
    const found = await contentsOfDisk(end);
    assert.ok(found.includes("a GPT (partition table, its copy at the end)"), `${blocks} blocks: ${found}`);
  }
});

test.run();
