import { Cursor, type ReadMemory, Unreadable } from "./cursor.ts";

/** What is loaded, or tells of what is. Addresses are the file's own: where it is loaded, a distance is added to all of them. */
export interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: bigint;
  readonly address: bigint;
  readonly fileBytes: bigint;
  readonly bytes: bigint;
}

export interface Section {
  readonly name: string;
  readonly type: number;
  readonly address: bigint;
  readonly offset: bigint;
  readonly bytes: bigint;
  /** Another section, by its index: of symbols, that with their names. */
  readonly link: number;
}

export const SegmentType = { LOAD: 1, EH_FRAME_TABLE: 0x6474e550 } as const;
export const SectionType = { SYMBOLS: 2, NOTHING: 8, DYNAMIC_SYMBOLS: 11 } as const;
/** Of a segment that is executed. */
export const EXECUTABLE = 1;

/** ELF of 64 bits, little-endian: a program or a library. (System V ABI, chapters 4 and 5) */
export interface Elf {
  readonly segments: readonly Segment[];
  readonly sectionsAt: bigint;
  readonly sectionCount: number;
  readonly namesSection: number;
}

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const SECTION_BYTES = 64;
const SEGMENTS_MAX = 512;
const NAMES_BYTES = 1 << 20;

/** The header, of which `read` reads from 0n on. @throws Unreadable */
export function readElf(read: ReadMemory): Elf {
  const header = new Cursor(read(0n, HEADER_BYTES));
  if (header.u32() !== 0x464c457f) throw new Unreadable("it is no ELF");
  const [bits, order] = [header.u8(), header.u8()];
  if (bits !== 2 || order !== 1) throw new Unreadable("it is no ELF of 64 bits, little-endian");
  header.at = 32;
  const [segmentsAt, sectionsAt] = [header.u64(), header.u64()];
  header.at = 54;
  const [segmentBytes, count, sectionBytes, sectionCount, namesSection] = Array.from({ length: 5 }, () => header.u16());
  if (segmentBytes !== SEGMENT_BYTES || count === undefined || count > SEGMENTS_MAX)
    throw new Unreadable(`an ELF with ${count} segments of ${segmentBytes} bytes`);
  const segments = new Cursor(read(segmentsAt, count * SEGMENT_BYTES));
  return {
    segments: Array.from({ length: count }, () => segmentIn(segments)),
    sectionsAt,
    sectionCount: sectionBytes === SECTION_BYTES ? (sectionCount ?? 0) : 0,
    namesSection: namesSection ?? 0,
  };
}

function segmentIn(cursor: Cursor): Segment {
  const [type, flags] = [cursor.u32(), cursor.u32()];
  const [offset, address, , fileBytes, bytes] = [0, 1, 2, 3, 4].map(() => cursor.u64()) as [
    bigint,
    bigint,
    bigint,
    bigint,
    bigint,
  ];
  cursor.skip(8);
  return { type, flags, offset, address, fileBytes, bytes };
}

/** The sections with their names. None where the file has been stripped of them. @throws Unreadable */
export function sectionsOf(read: ReadMemory, { sectionsAt, sectionCount, namesSection }: Elf): Section[] {
  if (sectionsAt === 0n || sectionCount === 0) return [];
  const cursor = new Cursor(read(sectionsAt, sectionCount * SECTION_BYTES));
  const sections = Array.from({ length: sectionCount }, () => {
    const [name, type] = [cursor.u32(), cursor.u32()];
    cursor.skip(8);
    const [address, offset, bytes, link] = [cursor.u64(), cursor.u64(), cursor.u64(), cursor.u32()];
    cursor.skip(20);
    return { name, type, address, offset, bytes, link };
  });
  const names = sections[namesSection];
  if (names === undefined || names.bytes > BigInt(NAMES_BYTES))
    throw new Unreadable("an ELF without names of sections");
  const text = new Cursor(read(names.offset, Number(names.bytes)));
  return sections.map(({ name, ...section }) => ({ ...section, name: textAt(text, name) }));
}

function textAt(cursor: Cursor, at: number): string {
  cursor.at = Math.min(at, cursor.bytes.length);
  return cursor.isAtEnd ? "" : cursor.text();
}
