/** What is found on a disk: marks set by hand where the formats have them, and what this machine's own tools make. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { contentsOf, HEAD_BYTES, TAIL_BYTES } from "../../examples/nvme/signatures.mjs";

const BYTES = 16 << 20;

/** Places below 0 are counted from the end. */
function contents(marks: readonly (readonly [at: number, mark: string])[], bytes = BYTES): string[] {
  const disk = new Uint8Array(bytes);
  for (const [at, mark] of marks) disk.set(Buffer.from(mark, "latin1"), at < 0 ? bytes + at : at);
  return contentsOf(disk.subarray(0, HEAD_BYTES), disk.subarray(Math.max(bytes - TAIL_BYTES, 0)), bytes);
}

const partition = (kind: string) => `\0\0\0\0${kind}\0\0\0\x01\0\0\0\x01\0\0\0`;
const BOOT = [510, "\x55\xaa"] as const;

for (const [name, marks] of [
  ["a GPT (partition table)", [[512, "EFI PART"]]],
  ["a GPT (partition table)", [[4096, "EFI PART"]]],
  ["a GPT (partition table, its copy at the end)", [[-512, "EFI PART"]]],
  ["an MBR (partition table) with a partition", [[446, partition("\x83")], BOOT]],
  ["an MBR (partition table) with 2 partitions", [[446, partition("\x83") + partition("\x07")], BOOT]],
  ["the MBR that protects a GPT", [[446, partition("\xee")], BOOT]],
  ["a boot sector", [BOOT]],
  ["ext2, ext3 or ext4", [[0x438, "\x53\xef"]]],
  ["XFS", [[0, "XFSB"]]],
  ["Btrfs", [[0x10040, "_BHRfS_M"]]],
  ["FAT12 or FAT16", [[54, "FAT16   "], BOOT]],
  ["FAT32", [[82, "FAT32   "], BOOT]],
  ["exFAT", [[3, "EXFAT   "], BOOT]],
  ["NTFS", [[3, "NTFS    "], BOOT]],
  ["an LVM physical volume", [[512, "LABELONE"]]],
  ["an LVM physical volume", [[1536, "LABELONE"]]],
  ["a LUKS volume", [[0, "LUKS\xba\xbe"]]],
  ["a member of an md RAID (1.1)", [[0, "\xfc\x4e\x2b\xa9"]]],
  ["a member of an md RAID (1.2)", [[4096, "\xfc\x4e\x2b\xa9"]]],
  ["a member of an md RAID (1.0)", [[-8192, "\xfc\x4e\x2b\xa9"]]],
  ["a member of an md RAID (0.90)", [[-65536, "\xfc\x4e\x2b\xa9"]]],
  ["swap space", [[4086, "SWAPSPACE2"]]],
  ["swap space", [[65526, "SWAPSPACE2"]]],
  ["a ZFS pool", [[0x2_0400, "\x0c\xb1\xba\0\0\0\0\0"]]],
] as const) {
  test(`${name} is found: ${marks.map(([at]) => `at ${at}`).join(", ")}`, () => {
    assert.equal(contents(marks), [name]);
  });
}

test("several are all named", () => {
  const marks = [[446, partition("\xee")], BOOT, [512, "EFI PART"], [-512, "EFI PART"]] as const;
  assert.equal(contents(marks), [
    "a GPT (partition table)",
    "a GPT (partition table, its copy at the end)",
    "the MBR that protects a GPT",
  ]);
});

test("an empty disk holds nothing; one with any byte at its beginning or end holds something", () => {
  assert.equal(contents([]), []);
  assert.equal(contents([[77, "x"]]), ["data of a kind that is not known here (from byte 77 on)"]);
  assert.equal(contents([[-1, "x"]]), ["data of a kind that is not known here (at the disk's end)"]);
});

test("the places at the end are those of the disk's size, also of one that is no multiple of 64 KiB, or is tiny", () => {
  const odd = BYTES + 4096 + 512;
  assert.equal(contents([[BYTES - 65536, "\xfc\x4e\x2b\xa9"]], odd), ["a member of an md RAID (0.90)"]);
  assert.equal(contents([[BYTES - 4096, "\xfc\x4e\x2b\xa9"]], odd), ["a member of an md RAID (1.0)"]);
  assert.equal(contents([[-512, "EFI PART"]], odd), ["a GPT (partition table, its copy at the end)"]);
  for (const bytes of [512, 1024, 4096]) assert.equal(contents([], bytes), []);
  assert.equal(contents([BOOT], 512), ["a boot sector"]);
});

for (const [tool, args, expected] of [
  ["mkfs.ext4", ["-q", "-F"], /ext2, ext3 or ext4/],
  ["mkfs.ext2", ["-q", "-F", "-b", "1024"], /ext2, ext3 or ext4/],
  ["mkswap", [], /swap space/],
  ["mkswap", ["-p", "65536"], /swap space/],
  ["mkfs.xfs", ["-q", "-f"], /XFS/],
  ["mkfs.btrfs", ["-q", "-f"], /Btrfs/],
  ["mkfs.vfat", [], /FAT/],
  ["mkfs.minix", [], /not known here|boot sector/],
] as const) {
  const path = `/usr/sbin:/sbin:${process.env.PATH}`;
  const isThere = spawnSync("sh", ["-c", `command -v ${tool}`], { env: { PATH: path } }).status === 0;
  const run = isThere ? test : test.skip;

  run(`what ${[tool, ...args].join(" ")} makes is found`, () => {
    const folder = mkdtempSync(join(tmpdir(), "dma-window-disk-"));
    try {
      const file = join(folder, "disk");
      writeFileSync(file, "");
      truncateSync(file, 512 << 20);
      execFileSync(tool, [...args, file], { env: { PATH: path }, stdio: "pipe" });
      truncateSync(file, BYTES); // the marks are at its beginning
      const disk = readFileSync(file);
      const found = contentsOf(disk.subarray(0, HEAD_BYTES), disk.subarray(BYTES - TAIL_BYTES), BYTES);
      assert.match(found.join(), expected);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

test.run();
