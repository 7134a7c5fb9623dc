/**
 * Which of many bits are set, said as the few spans in which they are: the twin of the scans over bitmaps, for maps that are
 * too large to be looked at bit by bit. Indexes are numbers here: they are far below 2^53.
 */

/** Bits from `first` on, up to `end`, which is not in it. Not empty. */
export interface Span {
  readonly first: number;
  readonly end: number;
}

/** The bits that are set: spans in order, none of which meet. */
export type Spans = readonly Span[];

/** Whether something holds for the bits of `asked`. */
export type Question = (set: Spans, asked: Span) => boolean;

export const any: Question = (set, asked) => set.some(({ first, end }) => asked.first < end && first < asked.end);

export const all: Question = (set, asked) => set.some(({ first, end }) => asked.first >= first && asked.end <= end);

/** The runs of clear bits of a map of `size` bits, in order. */
export function clearIn(set: Spans, size: number): Spans {
  const ends = [0, ...set.map(({ end }) => end)];
  const starts = [...set.map(({ first }) => first), size];
  return ends.map((first, index) => ({ first, end: starts[index] as number })).filter(({ first, end }) => first < end);
}

/** The holes of a map that is searched: of live and of reserved bits, of either none or one span. */
export type Holes = (live: Spans, reserved: Spans, size: number) => Spans;

export const holes: Holes = (live, reserved, size) =>
  clearIn(
    [...live, ...reserved].sort((a, b) => a.first - b.first),
    size,
  );

/** The lowest index, a multiple of `align`, from which `length` bits are clear; -1 when there is none. */
export function firstFit(clear: Spans, length: number, align: number): number {
  for (const { first, end } of clear) {
    const at = Math.ceil(first / align) * align;
    if (at + length <= end) return at;
  }
  return -1;
}

/** The length of the longest run of clear bits. */
export function largestHole(clear: Spans): number {
  return clear.reduce((largest, { first, end }) => Math.max(largest, end - first), 0);
}

const WORD = 64;
/** 128 bytes: eight vectors. */
const BLOCK = 1024;
const CHUNK = 32768;

const down = (index: number, step: number): number => index - (index % step);

/** Scans of a range that are right while it begins and ends in the right places. */
export const temptingQuestions: { readonly any: Record<string, Question>; readonly all: Record<string, Question> } = {
  any: {
    "looks at all of the first word": (set, asked) => any(set, { ...asked, first: down(asked.first, WORD) }),
    "looks at all of the last word": (set, asked) => any(set, { ...asked, end: down(asked.end - 1, WORD) + WORD }),
    "looks at all of the first 128 bytes": (set, asked) => any(set, { ...asked, first: down(asked.first, BLOCK) }),
    "looks at all of the last 128 bytes": (set, asked) =>
      any(set, { ...asked, end: down(asked.end - 1, BLOCK) + BLOCK }),
    "takes one bit too many": (set, asked) => any(set, { ...asked, end: asked.end + 1 }),
    "forgets the last bit": (set, asked) => asked.end - 1 > asked.first && any(set, { ...asked, end: asked.end - 1 }),
    "forgets the words behind the last whole 128 bytes": (set, asked) => {
      const end = Math.max(down(asked.end, BLOCK), Math.min(asked.end, down(asked.first, BLOCK) + BLOCK));
      return end > asked.first && any(set, { ...asked, end });
    },
    "stops at the chunk's end": (set, asked) => {
      return any(set, { ...asked, end: Math.min(asked.end, down(asked.first, CHUNK) + CHUNK) });
    },
    "passes over a chunk in which every bit is set": (set, asked) =>
      set.some(({ first, end }) => {
        const [from, to] = [Math.max(first, asked.first), Math.min(end, asked.end)];
        const whole = (bit: number): boolean => all(set, { first: down(bit, CHUNK), end: down(bit, CHUNK) + CHUNK });
        return from < to && (!whole(from) || !whole(to - 1));
      }),
  },
  all: {
    "looks at the first and the last bit": (set, asked) =>
      all(set, { first: asked.first, end: asked.first + 1 }) && all(set, { first: asked.end - 1, end: asked.end }),
    "looks at all of the last word": (set, asked) => all(set, { ...asked, end: down(asked.end - 1, WORD) + WORD }),
    "looks at all of the first 128 bytes": (set, asked) => all(set, { ...asked, first: down(asked.first, BLOCK) }),
    "forgets the last bit": (set, asked) => asked.end - 1 === asked.first || all(set, { ...asked, end: asked.end - 1 }),
    "stops at the chunk's end": (set, asked) => {
      return all(set, { ...asked, end: Math.min(asked.end, down(asked.first, CHUNK) + CHUNK) });
    },
    "passes over a chunk in which no bit is set": (set, asked) => {
      const second = down(asked.first, CHUNK) + CHUNK;
      const skipped = asked.end > second + CHUNK && !any(set, { first: second, end: second + CHUNK });
      return skipped ? all(set, { ...asked, end: second }) : all(set, asked);
    },
  },
};

/** The right holes, each cut where a multiple of `step` lies in it. */
function cutAt(step: number): Holes {
  return (live, reserved, size) =>
    holes(live, reserved, size).flatMap(({ first, end }) => {
      const pieces: Span[] = [];
      for (let at = first; at < end; at = down(at, step) + step)
        pieces.push({ first: at, end: Math.min(end, down(at, step) + step) });
      return pieces;
    });
}

const roundedUp =
  (step: number): Holes =>
  (live, reserved, size) =>
    holes(live, reserved, Math.ceil(size / step) * step);

/** Holes that are right in most maps. */
export const temptingHoles: Readonly<Record<string, Holes>> = {
  "ends a hole at each word": cutAt(WORD),
  "ends a hole at each 128 bytes": cutAt(BLOCK),
  "ends a hole at each chunk": cutAt(CHUNK),
  "forgets the hole at the end": (live, reserved, size) => holes(live, reserved, size).filter(({ end }) => end < size),
  "takes the bits behind the end of the last word for free ones": roundedUp(WORD),
  "takes the bits behind the end of the last 128 bytes for free ones": roundedUp(BLOCK),
  "looks at what is live only": (live, _reserved, size) => clearIn(live, size),
  "looks at what is reserved only": (_live, reserved, size) => clearIn(reserved, size),
  "begins a hole one bit too late": (live, reserved, size) =>
    holes(live, reserved, size).map(({ first, end }) => ({ first: first === 0 ? 0 : first + 1, end })),
  "lets a hole reach into the bit behind it": (live, reserved, size) =>
    holes(live, reserved, size).map(({ first, end }) => ({ first, end: Math.min(end + 1, size) })),
};
