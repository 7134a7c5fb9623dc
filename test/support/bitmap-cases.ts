/** Spans of bits that begin and end where a scan over words, vectors and chunks could go wrong. */
import type { Span } from "../reference/spans.ts";

const WORD = 64;
/** What a scan takes at a time: 128 bytes. */
const BLOCK = 1024;
const CHUNK = 32768;

/** Bits of the large map: two chunks, a block, and one word and a bit, so that neither block, vector nor word is whole. */
export const LARGE = 2 * CHUNK + BLOCK + WORD + 1;

function near(distance: number, ...borders: readonly number[]): number[] {
  return borders.flatMap((border) => Array.from({ length: 2 * distance + 1 }, (_, by) => border + by - distance));
}

/** Every span between two of the places. */
function between(places: readonly number[], size: number): Span[] {
  const inside = [...new Set(places)].filter((place) => place >= 0 && place <= size).sort((a, b) => a - b);
  return inside.flatMap((first) => inside.filter((end) => end > first).map((end) => ({ first, end })));
}

/** Spans of the large map that begin and end around each kind of border. */
export function questionSpans(): Span[] {
  const borders = [
    0,
    WORD,
    2 * WORD,
    BLOCK,
    2 * BLOCK,
    CHUNK,
    CHUNK + WORD,
    CHUNK + BLOCK,
    2 * CHUNK,
    LARGE - WORD - 1,
  ];
  return between(
    [...near(1, ...borders), ...near(2, CHUNK, BLOCK), 2 * CHUNK + WORD, LARGE - 2, LARGE - 1, LARGE],
    LARGE,
  );
}

/** The same, fewer of them: two at a time make a map that is searched. */
export function searchSpans(): Span[] {
  const borders = [0, WORD, BLOCK, CHUNK, 2 * CHUNK, LARGE - 1];
  return between([...near(1, ...borders), 2 * WORD, CHUNK + WORD, CHUNK + BLOCK, 2 * CHUNK + BLOCK], LARGE);
}

/** Small maps, in which every span is tried: around one, two and three words, a block, and a bit more. */
export const SMALL: readonly number[] = [1, 2, 63, 64, 65, 127, 128, 129, 192, 193, 255, 256, 257];

/** Spans that are taken in a small map before the one that is tried. Each is in the map, or there is none. */
export function background(size: number): (Span | undefined)[] {
  const spans = [
    [0, 1],
    [31, 32],
    [63, 64],
    [64, 65],
    [62, 66],
    [64, 128],
    [127, 129],
    [size - 1, size],
  ] as const;
  const inside = spans.filter(([first, end]) => first < end && end <= size).map(([first, end]) => ({ first, end }));
  return [undefined, ...inside];
}

/** Lengths and alignments to search for, in bits. */
export const LENGTHS: readonly number[] = near(1, 1, WORD, BLOCK, CHUNK).filter((length) => length > 0);
export const ALIGN_SHIFTS: readonly number[] = [0, 1, 6, 7, 10, 15];
