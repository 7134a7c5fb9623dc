/** A picture as SVG: rectangles and text, nothing else. It reads in print, too: kinds differ in hatching, not in colour alone. */
import { bytes, hex } from "../hex.ts";
import { escaped } from "./markup.ts";
import { type Picture, type PictureRange, type RangeKind, sizeOf, type WindowPicture } from "./picture.ts";
import { type Cell, cellsOf, type Stretch, stretchesOf } from "./scale.ts";
import { wrapped } from "./text.ts";
import { breakWords, figures, headline, KINDS, MEANINGS, plainText, size } from "./words.ts";

export const SVG_WIDTH = 960;
const MARGIN = 20;
const BAR_WIDTH = SVG_WIDTH - 2 * MARGIN;
const BAR_HEIGHT = 30;
const LINE = 20;

/** Characters of a line of words: those of the font are about 8 wide. */
export const WORDS_COLUMNS = 114;

/** Drawn one by one up to here; more of them become cells, one for each unit of width. */
const RANGES_MAX = 1000;

/** Regions that are listed. */
const REGIONS_MAX = 64;

/** Both of a light and a dark surface; the page that holds it may have either. */
export const STYLE = `
.dw { font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.dw text { fill: #1a1a1a; }
.dw .title { font-size: 16px; font-weight: 600; }
.dw .name { font-weight: 600; }
.dw .quiet { fill: #595959; }
.dw .paper { fill: #ffffff; }
.dw .live { fill: #1b6e3c; }
.dw .reserved { fill: url(#dw-reserved); }
.dw .free { fill: #f0f0f0; }
.dw .kept { fill: url(#dw-kept); }
.dw .lost { fill: #b3261e; }
.dw .lost-text { fill: #ffffff; }
.dw .frame { fill: none; stroke: #595959; }
.dw .break { fill: none; stroke: #595959; stroke-dasharray: 2 4; }
.dw .hatch { stroke: #2a5d9c; }
.dw .hatch-paper { fill: #dbe7f5; }
.dw .cross { stroke: #b3261e; }
.dw .cross-paper { fill: #fbe3e1; }
@media (prefers-color-scheme: dark) {
.dw text { fill: #e8e8e8; }
.dw .quiet { fill: #a8a8a8; }
.dw .paper { fill: #16181b; }
.dw .live { fill: #58c27d; }
.dw .free { fill: #2a2d31; }
.dw .frame, .dw .break { stroke: #a8a8a8; }
.dw .hatch { stroke: #7fb0ea; }
.dw .hatch-paper { fill: #1d2c3f; }
.dw .cross { stroke: #ff8a80; }
.dw .cross-paper { fill: #3d1f1d; }
}`;

export const PATTERNS = `<defs>
<pattern id="dw-reserved" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">
<rect class="hatch-paper" width="6" height="6"/><line class="hatch" x1="0" y1="0" x2="0" y2="6" stroke-width="1.5"/></pattern>
<pattern id="dw-kept" width="8" height="8" patternUnits="userSpaceOnUse">
<rect class="cross-paper" width="8" height="8"/><path class="cross" d="M0 0L8 8M8 0L0 8"/></pattern>
</defs>`;

/** An SVG document. All text in it is escaped; it has no script, no link, and needs no network. */
export function pictureSvg(picture: Picture): string {
  const page = new Page();
  page.words([plainText(picture.title)], "title");
  for (const window of picture.windows) drawWindow(page, window);
  if (picture.windows.length > 0) drawLegend(page, picture);
  for (const note of picture.notes) page.words(wrapped(plainText(note), "", WORDS_COLUMNS), "quiet");
  return page.document(picture.title);
}

/** Draws from above to below. */
export class Page {
  #parts: string[] = [];
  y = MARGIN;

  /** Lines of text. */
  words(lines: readonly string[], kind = ""): void {
    for (const line of lines) {
      this.y += LINE;
      this.add(`<text x="${MARGIN}" y="${this.y - 6}" class="${kind}" xml:space="preserve">${escaped(line)}</text>`);
    }
  }

  add(markup: string): void {
    this.#parts.push(markup);
  }

  document(title: string): string {
    const height = this.y + MARGIN;
    return [
      `<svg xmlns="http://www.w3.org/2000/svg" class="dw" viewBox="0 0 ${SVG_WIDTH} ${height}" width="${SVG_WIDTH}" height="${height}" role="img">`,
      `<title>${escaped(title)}</title>`,
      `<style>${STYLE}</style>`,
      PATTERNS,
      `<rect class="paper" width="${SVG_WIDTH}" height="${height}"/>`,
      ...this.#parts,
      "</svg>\n",
    ].join("\n");
  }
}

function drawWindow(page: Page, window: WindowPicture): void {
  const { ranges, regions } = window;
  page.y += 8;
  page.words([headline(window)], "name");
  for (const stretch of stretchesOf(ranges)) {
    if (stretch.type === "break") drawBreak(page, breakWords(ranges[stretch.first] as PictureRange, regions));
    else drawPiece(page, stretch, window);
  }
  page.y += 6;
  for (const [label, words] of figures(window)) {
    const lines = wrapped(words, "", WORDS_COLUMNS - 14);
    page.words(lines.map((line, i) => (i === 0 ? label : "").padEnd(14) + line));
  }
  const shown = regions.slice(0, REGIONS_MAX);
  if (shown.length > 0) page.y += 6;
  page.words(
    shown.map(({ name, pageSize, start, last, liveBytes }) => {
      const pages = pageSize === undefined ? "" : ` of ${bytes(pageSize)} pages`;
      return `${plainText(name)}${pages} at ${hex(start)}-${hex(last)}: ${size(liveBytes)} live of ${size(last - start + 1n)}`;
    }),
  );
  if (regions.length > shown.length) page.words([`and ${regions.length - shown.length} more`], "quiet");
}

function drawPiece(page: Page, piece: Stretch, { ranges }: WindowPicture): void {
  const end = MARGIN + BAR_WIDTH;
  page.y += LINE;
  page.add(`<text x="${MARGIN}" y="${page.y - 5}" class="quiet">${hex(piece.start)}</text>`);
  page.add(`<text x="${end}" y="${page.y - 5}" text-anchor="end" class="quiet">${hex(piece.last)}</text>`);
  page.add(barMarkup(ranges, piece, { x: MARGIN, y: page.y, width: BAR_WIDTH, height: BAR_HEIGHT }));
  page.y += BAR_HEIGHT;
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A piece of a window as a bar: ranges where they are few, cells where they are many. */
function barMarkup(ranges: readonly PictureRange[], piece: Stretch, box: Box): string {
  const own =
    piece.end - piece.first < RANGES_MAX
      ? exactRects(ranges, piece, box)
      : cellRects(cellsOf(ranges, piece, box.width), box);
  return `${own}\n<rect class="frame" x="${box.x}" y="${box.y}" width="${box.width}" height="${box.height}"/>`;
}

/** Nothing that is there is thinner: it would not be seen. */
const THINNEST = 0.5;

function exactRects(ranges: readonly PictureRange[], piece: Stretch, { x, y, width, height }: Box): string {
  const all = sizeOf(piece);
  // Thousandths of a unit, below 2^53: exact enough, and never a drawing of addresses as doubles.
  const at = (address: bigint) => Number(((address - piece.start) * BigInt(width * 1000)) / all) / 1000;
  return ranges
    .slice(piece.first, piece.end + 1)
    .map((range) => {
      const from = at(range.start);
      const wide = Math.max(THINNEST, at(range.last + 1n) - from);
      const words = `${hex(range.start)}-${hex(range.last)}: ${size(sizeOf(range))} ${range.kind}`;
      return `<rect class="${range.kind}" x="${num(x + from)}" y="${y}" width="${num(wide)}" height="${height}"><title>${words}</title></rect>`;
    })
    .join("\n");
}

/** Cells of one width, neighbours that look the same as one rectangle. What is live in part is as high as its share. */
export function cellRects(cells: readonly (Cell | "outside")[], { x, y, width, height }: Box): string {
  const each = width / Math.max(1, cells.length);
  const rects: string[] = [];
  for (let from = 0; from < cells.length; ) {
    const look = lookOf(cells[from] as Cell | "outside");
    let end = from + 1;
    while (end < cells.length && same(lookOf(cells[end] as Cell | "outside"), look)) end++;
    if (look.kind !== "outside") {
      const [left, wide] = [num(x + from * each), num((end - from) * each)];
      if (look.live < 1)
        rects.push(`<rect class="${look.kind}" x="${left}" y="${y}" width="${wide}" height="${height}"/>`);
      if (look.live > 0) {
        const high = num(height * look.live);
        rects.push(`<rect class="live" x="${left}" y="${num(y + height - high)}" width="${wide}" height="${high}"/>`);
      }
    }
    from = end;
  }
  return rects.join("\n");
}

interface Look {
  readonly kind: RangeKind | "outside";
  readonly live: number;
}

/** Shares in eighths: what is live at all has one. */
function lookOf(cell: Cell | "outside"): Look {
  if (cell === "outside") return { kind: "outside", live: 0 };
  const live = cell.live === 0 || cell.live === 1 ? cell.live : Math.min(7, Math.max(1, Math.round(cell.live * 8))) / 8;
  return { kind: cell.kind === "live" ? "free" : cell.kind, live };
}

function same(a: Look, b: Look): boolean {
  return a.kind === b.kind && a.live === b.live;
}

function drawBreak(page: Page, words: string): void {
  page.y += LINE + 4;
  const y = page.y - 8;
  page.add(`<line class="break" x1="${MARGIN}" y1="${y}" x2="${MARGIN + BAR_WIDTH}" y2="${y}"/>`);
  const wide = words.length * 7.9 + 20;
  page.add(`<rect class="paper" x="${num(SVG_WIDTH / 2 - wide / 2)}" y="${y - 9}" width="${num(wide)}" height="18"/>`);
  page.add(`<text x="${SVG_WIDTH / 2}" y="${y + 4}" text-anchor="middle">${escaped(words)}</text>`);
}

function drawLegend(page: Page, { windows }: Picture): void {
  const kinds = KINDS.filter((kind) => windows.some(({ bytes: sums }) => sums[kind] > 0n));
  page.y += 10;
  for (const kind of kinds) {
    page.y += LINE;
    page.add(`<rect class="${kind}" x="${MARGIN}" y="${page.y - 17}" width="26" height="13"/>`);
    page.add(`<rect class="frame" x="${MARGIN}" y="${page.y - 17}" width="26" height="13"/>`);
    page.add(`<text x="${MARGIN + 36}" y="${page.y - 6}">${kind}: ${MEANINGS[kind]}</text>`);
  }
  page.y += 6;
}

/** With three decimals at most. */
export function num(value: number): number {
  return Math.round(value * 1000) / 1000;
}
