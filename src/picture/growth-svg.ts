/** A growth as SVG: time goes down, addresses go right, each way in a panel of its own. */
import { type Frame, fewer, type Growth, type GrowthColumn } from "./growth.ts";
import { escaped } from "./markup.ts";
import { type Box, cellRects, num, Page, SVG_WIDTH, WORDS_COLUMNS } from "./svg.ts";
import { wrapped } from "./text.ts";
import { plainText, size } from "./words.ts";

const MARGIN = 20;
const LABEL_WIDTH = 90;
const SIZE_WIDTH = 84;
const GAP = 24;
const ROW = 18;
const BREAK_WIDTH = 14;

export function growthSvg(growth: Growth): string {
  const { title, columns, notes } = growth;
  const page = new Page();
  page.words([plainText(title)], "title");
  const count = Math.max(1, columns.length);
  const width = (SVG_WIDTH - 2 * MARGIN - LABEL_WIDTH - GAP * (count - 1)) / count;
  const left = (i: number) => MARGIN + LABEL_WIDTH + i * (width + GAP);
  page.y += 26;
  for (const [i, { name }] of columns.entries()) {
    page.add(`<text class="name" x="${num(left(i))}" y="${page.y - 6}">${escaped(name)}</text>`);
  }
  const frames = Math.max(0, ...columns.map((column) => column.frames.length));
  for (let row = 0; row < frames; row++) {
    const label = columns[0]?.frames[row]?.label ?? "";
    page.add(
      `<text class="quiet" x="${MARGIN + LABEL_WIDTH - 10}" y="${page.y + 13}" text-anchor="end">${escaped(label)}</text>`,
    );
    for (const [i, { axis, frames: own }] of columns.entries()) {
      const frame = own[row];
      if (frame !== undefined)
        page.add(frameMarkup(frame, axis, { x: left(i), y: page.y + 1, width, height: ROW - 2 }));
    }
    page.y += ROW;
  }
  page.y += 8;
  for (const { name, account } of columns) {
    for (const text of account) page.words(wrapped(`${name}: ${text}`, "", WORDS_COLUMNS));
  }
  for (const note of notes) page.words(wrapped(plainText(note), "", WORDS_COLUMNS), "quiet");
  page.words(["green: live, as high as its share; hatched: set aside; grey: free; no bar: no window there"], "quiet");
  return page.document(title);
}

function frameMarkup(frame: Frame, axis: GrowthColumn["axis"], { x, y, width, height }: Box): string {
  if (frame.lost !== undefined) {
    return [
      `<rect class="lost" x="${num(x)}" y="${y}" width="${num(width)}" height="${height}"/>`,
      `<text class="lost-text" x="${num(x + 8)}" y="${y + 12}">${escaped(frame.lost)}</text>`,
    ].join("\n");
  }
  const breaks = axis.length - frame.pieces.length;
  const each = (width - SIZE_WIDTH - breaks * BREAK_WIDTH) / Math.max(1, frame.pieces.length);
  const parts: string[] = [];
  let [at, piece] = [x, 0];
  for (const { type } of axis) {
    if (type === "break") {
      const middle = y + height / 2;
      parts.push(`<line class="break" x1="${num(at)}" y1="${middle}" x2="${num(at + BREAK_WIDTH)}" y2="${middle}"/>`);
      at += BREAK_WIDTH;
      continue;
    }
    const cells = fewer(frame.pieces[piece++] ?? [], Math.max(1, Math.floor(each / 2)));
    parts.push(cellRects(cells, { x: at, y, width: each, height }));
    at += each;
  }
  parts.push(`<text x="${num(x + width)}" y="${y + 12}" text-anchor="end">${escaped(size(frame.liveBytes))}</text>`);
  return parts.join("\n");
}
