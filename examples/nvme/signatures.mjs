// @ts-check
/**
 * What a disk holds, by the marks that partition tables, file systems and volume managers leave at its beginning and end. A mark that is
 * found says that somebody's data may be there; that none is found says little: see {@link contentsOf}.
 */

/** Bytes at the beginning in which all of the marks lie, and at the end. */
export const HEAD_BYTES = 256 << 10;
export const TAIL_BYTES = 132 << 10;

/**
 * Marks at a fixed place: what it is, the offset, and the bytes, as text of one byte for each character.
 *
 * @type {readonly (readonly [name: string, offset: number, mark: string])[]}
 */
const MARKS = [
  ["a GPT (partition table)", 512, "EFI PART"],
  ["a GPT (partition table)", 4096, "EFI PART"],
  ["an Apple partition map", 512, "PM\0\0"],
  ["a Sun disk label", 508, "\xda\xbe"],
  ["a BSD disk label", 512, "WEV\x82"],
  ["an SGI disk label", 0, "\x0b\xe5\xa9\x41"],
  ["ext2, ext3 or ext4", 0x438, "\x53\xef"],
  ["XFS", 0, "XFSB"],
  ["Btrfs", 0x10040, "_BHRfS_M"],
  ["NTFS", 3, "NTFS    "],
  ["exFAT", 3, "EXFAT   "],
  ["ReFS", 3, "ReFS\0\0\0\0"],
  ["FAT12 or FAT16", 54, "FAT12   "],
  ["FAT12 or FAT16", 54, "FAT16   "],
  ["FAT12 or FAT16", 54, "FAT     "],
  ["FAT32", 82, "FAT32   "],
  ["F2FS", 0x400, "\x10\x20\xf5\xf2"],
  ["EROFS", 0x400, "\xe2\xe1\xf5\xe0"],
  ["SquashFS", 0, "hsqs"],
  ["ISO 9660", 0x8001, "CD001"],
  ["UDF", 0x8001, "BEA01"],
  ["HFS+", 0x400, "H+\0\x04"],
  ["HFS+", 0x400, "HX\0\x05"],
  ["APFS", 0x20, "NXSB"],
  ["JFS", 0x8000, "JFS1"],
  ["ReiserFS", 0x10034, "ReIsEr"],
  ["GFS2", 0x10000, "\x01\x16\x19\x70"],
  ["OCFS2", 0x2000, "OCFSV2"],
  ["NILFS2", 0x406, "\x34\x34"],
  ["bcache", 0x1018, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"],
  ["bcachefs", 0x1018, "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"],
  ["a LUKS volume", 0, "LUKS\xba\xbe"],
  ["a LUKS volume", 0x4000, "SKUL\xba\xbe"],
  ["a BitLocker volume", 3, "-FVE-FS-"],
  ["dm-integrity", 0, "integrt\0"],
  ["dm-verity", 0, "verity\0\0"],
  ["a VDO volume", 0, "dmvdo001"],
  ["a Stratis pool", 0x204, "!Stra0tis\x86\xff\x02^\x41rh"],
  ["an Oracle ASM disk", 0x20, "ORCLDISK"],
  ["a Ceph BlueStore", 0, "bluestore block device"],
  ["a member of an md RAID (1.1)", 0, "\xfc\x4e\x2b\xa9"],
  ["a member of an md RAID (1.2)", 4096, "\xfc\x4e\x2b\xa9"],
  ...[0, 512, 1024, 1536].map((at) => /** @type {const} */ (["an LVM physical volume", at, "LABELONE"])),
  ...[4096, 8192, 16384, 65536].flatMap((page) => [
    /** @type {const} */ (["swap space", page - 10, "SWAPSPACE2"]),
    /** @type {const} */ (["swap space", page - 10, "SWAP-SPACE"]),
  ]),
  ...Array.from(
    { length: 128 },
    (_, i) => /** @type {const} */ (["a ZFS pool", 0x2_0000 + i * 1024, "\x0c\xb1\xba\0\0\0\0\0"]),
  ),
  ...Array.from(
    { length: 128 },
    (_, i) => /** @type {const} */ (["a ZFS pool", 0x2_0000 + i * 1024, "\0\0\0\0\0\xba\xb1\x0c"]),
  ),
];

/**
 * Marks whose place is counted from the disk's end, by its size in bytes.
 *
 * @type {readonly (readonly [name: string, at: (bytes: number) => number, mark: string])[]}
 */
const MARKS_AT_END = [
  ["a GPT (partition table, its copy at the end)", (bytes) => bytes - 512, "EFI PART"],
  ["a GPT (partition table, its copy at the end)", (bytes) => bytes - 4096, "EFI PART"],
  ["a member of an md RAID (1.0)", (bytes) => floor(bytes - 8192, 4096), "\xfc\x4e\x2b\xa9"],
  ["a member of an md RAID (0.90)", (bytes) => floor(bytes, 65536) - 65536, "\xfc\x4e\x2b\xa9"],
  ["a member of an md RAID (0.90)", (bytes) => floor(bytes, 65536) - 65536, "\xa9\x2b\x4e\xfc"],
  ["a member of an Intel RAID", (bytes) => bytes - 1024, "Intel Raid ISM Cfg Sig. "],
  ["a member of a DDF RAID", (bytes) => bytes - 512, "\xde\x11\xde\x11"],
];

/** @param {number} bytes @param {number} unit */
const floor = (bytes, unit) => bytes - (bytes % unit);

/**
 * What is on a disk, one thing each; none for one whose beginning and end are all zeros. What has no mark that is known here and is not
 * zeros counts too: it may be somebody's data, or the middle of it.
 *
 * @param {Uint8Array} head The first {@link HEAD_BYTES}, or all of a smaller disk.
 * @param {Uint8Array} tail The last {@link TAIL_BYTES}, likewise.
 * @param {number} bytes Of the disk.
 * @returns {string[]}
 */
export function contentsOf(head, tail, bytes) {
  const found = new Set();
  for (const [name, offset, mark] of MARKS) if (hasMark(head, offset, mark)) found.add(name);
  for (const [name, at, mark] of MARKS_AT_END) {
    if (hasMark(tail, at(bytes) - (bytes - tail.length), mark)) found.add(name);
  }
  for (const one of bootSector(head, found.size > 0)) found.add(one);
  if (found.size > 0) return [...found];
  const at = head.findIndex((byte) => byte !== 0);
  if (at >= 0) return [`data of a kind that is not known here (from byte ${at} on)`];
  return tail.some((byte) => byte !== 0) ? ["data of a kind that is not known here (at the disk's end)"] : [];
}

/** @param {Uint8Array} bytes @param {number} offset @param {string} mark */
function hasMark(bytes, offset, mark) {
  if (offset < 0 || offset + mark.length > bytes.length) return false;
  for (let i = 0; i < mark.length; i++) if (bytes[offset + i] !== mark.charCodeAt(i)) return false;
  return true;
}

const PARTITIONS = 446;
const PROTECTIVE = 0xee;

/**
 * The first 512 bytes: four entries of 16, whose byte 4 says what kind of partition it is; 0 for none. File systems may have the same
 * last two bytes, so without entries it counts only where nothing else was found.
 *
 * @param {Uint8Array} head @param {boolean} isKnown
 */
function bootSector(head, isKnown) {
  if (!hasMark(head, 510, "\x55\xaa")) return [];
  const entries = [0, 1, 2, 3].map((i) => head.subarray(PARTITIONS + 16 * i, PARTITIONS + 16 * (i + 1)));
  const areEntries = entries.every(([status]) => status === 0 || status === 0x80);
  const kinds = entries.map((entry) => entry[4]).filter((kind) => kind !== 0);
  if (!areEntries || kinds.length === 0) return isKnown ? [] : ["a boot sector"];
  if (kinds.includes(PROTECTIVE)) return ["the MBR that protects a GPT"];
  return [`an MBR (partition table) with ${kinds.length === 1 ? "a partition" : `${kinds.length} partitions`}`];
}
