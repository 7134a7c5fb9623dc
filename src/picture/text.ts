/**
 * A picture as text: rows by address, for terminals from 40 columns on. It reads without colour, and in ASCII.
 *
 *     0x0         ███████▓▒░──────────────────────────────────────
 *                 ┄┄┄ 63.9 TiB free ┄┄┄
 *     0x3fff0000  ██──────
 */
import { bytes, hex } from "../hex.ts";
import type { Picture, PictureRange, RangeKind, WindowPicture } from "./picture.ts";
import { type Cell, cellsOf, type Stretch, stretchesOf } from "./scale.ts";
import { breakWords, figures, headline, KINDS, plainText, size } from "./words.ts";

export interface TextOptions {
  /** Columns of the terminal: 40 to 1000. Default: 80. */
  readonly columns?: number;
  /** Whether characters beyond ASCII can be shown. Default: true. */
  readonly unicode?: boolean;
  /** Whether to colour kinds, by sequences of ANSI. Default: false; nothing is said by colour alone. */
  readonly colour?: boolean;
}

export interface Style {
  readonly columns: number;
  readonly glyphs: Glyphs;
  readonly colour: boolean;
}

interface Glyphs {
  /** All live, and by how much of a cell is: half or more, less, nearly nothing. */
  readonly live: readonly [string, string, string, string];
  readonly reserved: string;
  readonly free: string;
  readonly kept: string;
  readonly break: string;
  /** No window there. */
  readonly outside: string;
}

const UNICODE: Glyphs = { live: ["█", "▓", "▒", "░"], reserved: "─", free: "·", kept: "×", break: "┄", outside: " " };
const ASCII: Glyphs = { live: ["#", "+", "=", ":"], reserved: "-", free: ".", kept: "x", break: "~", outside: " " };

const COLUMNS_MIN = 40;
const COLUMNS_MAX = 1000;

/** Of SGR: green, cyan, red. What is free has the terminal's own colour. */
const COLOURS: Readonly<Record<RangeKind, number | undefined>> = { live: 32, reserved: 36, free: undefined, kept: 31 };

export function styleOf({ columns = 80, unicode = true, colour = false }: TextOptions = {}): Style {
  const within = Math.min(COLUMNS_MAX, Math.max(COLUMNS_MIN, Math.floor(columns) || 80));
  return { columns: within, glyphs: unicode ? UNICODE : ASCII, colour };
}

/** The picture, a line for each row, without a newline at the end. No line is longer than the columns, colours not counted. */
export function pictureText(picture: Picture, options?: TextOptions): string {
  const style = styleOf(options);
  const blocks = picture.windows.map((window) => windowLines(window, style).join("\n"));
  const notes = picture.notes.flatMap((note) => wrapped(plainText(note), "", style.columns));
  const shown = picture.windows.some(({ ranges }) => ranges.length > 0) ? [legend(picture, style)] : [];
  const title = wrapped(plainText(picture.title), "", style.columns).join("\n");
  return [title, ...blocks, ...shown, ...(notes.length === 0 ? [] : [notes.join("\n")])].join("\n\n");
}

function windowLines(window: WindowPicture, style: Style): string[] {
  return [
    ...wrapped(headline(window), "", style.columns),
    ...barLines(window, style),
    "",
    ...figures(window).flatMap(([label, words]) => labelled(label, words, style.columns)),
    ...regionLines(window, style),
  ];
}

/** A piece has so many rows at most, and more of them the more ranges are in it. */
const ROWS_MAX = 8;
const RANGES_OF_A_ROW = 12;

function barLines({ ranges, regions }: WindowPicture, style: Style): string[] {
  const stretches = stretchesOf(ranges);
  const rows = stretches.map((stretch) => (stretch.type === "break" ? [stretch.start] : rowStarts(stretch)));
  const wide = Math.max(...rows.flat().map((address) => hex(address).length));
  // Cells by eights, so that a window of a power of two has cells with round addresses.
  const cells = Math.max(8, Math.floor((style.columns - wide - 2) / 8) * 8);
  const margin = " ".repeat(wide + 2);
  return stretches.flatMap((stretch, i) => {
    if (stretch.type === "break") {
      const words = ` ${breakWords(ranges[stretch.first] as PictureRange, regions)} `;
      const dots = style.glyphs.break.repeat(3);
      return [`${margin}${dots}${words}${dots}`.slice(0, style.columns)];
    }
    const starts = rows[i] as bigint[];
    const all = cellsOf(ranges, stretch, cells * starts.length);
    return starts.map(
      (start, row) => `${hex(start).padEnd(wide)}  ${inked(all.slice(row * cells, (row + 1) * cells), style)}`,
    );
  });
}

/** Where the rows of a piece begin: the more is in it, the more rows. */
function rowStarts({ first, end, start, last }: Stretch): bigint[] {
  const wanted = Math.min(ROWS_MAX, Math.ceil((end - first + 1) / RANGES_OF_A_ROW));
  const rows = 1 << Math.ceil(Math.log2(wanted)); // small and exact: 1, 2, 4 or 8
  const size = last - start + 1n;
  return Array.from({ length: rows }, (_, i) => start + (size * BigInt(i)) / BigInt(rows));
}

/** Cells as text; neighbours of one colour in one sequence. */
export function inked(cells: readonly (Cell | "outside" | "break")[], style: Style): string {
  let [text, colour] = ["", undefined as number | undefined];
  for (const cell of cells) {
    const next = style.colour && typeof cell === "object" ? COLOURS[cell.live > 0 ? "live" : cell.kind] : undefined;
    if (next !== colour)
      text += `${colour === undefined ? "" : "\u001b[0m"}${next === undefined ? "" : `\u001b[${next}m`}`;
    colour = next;
    text += glyph(cell, style.glyphs);
  }
  return colour === undefined ? text : `${text}\u001b[0m`;
}

function glyph(cell: Cell | "outside" | "break", glyphs: Glyphs): string {
  if (typeof cell === "string") return glyphs[cell];
  if (cell.live === 0) return glyphs[cell.kind === "live" ? "free" : cell.kind];
  const [all, most, some, few] = glyphs.live;
  return cell.live === 1 ? all : cell.live >= 0.5 ? most : cell.live >= 0.125 ? some : few;
}

/** What the characters mean; kinds that are not there are left out. */
function legend({ windows }: Picture, style: Style): string {
  const { glyphs } = style;
  const shown = KINDS.filter((kind) => windows.some(({ bytes: sums }) => sums[kind] > 0n));
  const parts = shown.map((kind) => {
    if (kind !== "live") return `${glyphs[kind]} ${kind}`;
    return `${glyphs.live[0]} live (${glyphs.live.slice(1).join(" ")} in part)`;
  });
  return wrapped(parts.join("   "), "", style.columns).join("\n");
}

function regionLines({ regions }: WindowPicture, { columns }: Style): string[] {
  if (regions.length === 0) return [];
  const shown = regions.slice(0, REGIONS_MAX);
  const rows = shown.map(({ name, pageSize, start, last, liveBytes }) => [
    plainText(name),
    pageSize === undefined ? "" : bytes(pageSize),
    `${hex(start)}-${hex(last)}`,
    `${size(liveBytes)} of ${size(last - start + 1n)}`,
  ]);
  const lines = tabled(["region", "pages", "IOVAs", "live"], rows, columns);
  const more = regions.length - shown.length;
  return ["", ...lines, ...(more > 0 ? [`and ${more} more`] : [])];
}

const REGIONS_MAX = 32;

/** A table where it fits; where it does not, each row on two lines. */
export function tabled(head: readonly string[], rows: readonly (readonly string[])[], columns: number): string[] {
  const all = [head, ...rows];
  const widths = head.map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd();
  if (widths.reduce((sum, width) => sum + width + 2, -2) <= columns) return all.map(line);
  return rows
    .flatMap(([first = "", ...rest]) => [first, ...rest.filter((cell) => cell !== "").map((cell) => `  ${cell}`)])
    .map((text) => text.slice(0, columns));
}

const LABEL_WIDTH = 14;

export function labelled(label: string, words: string, columns: number): string[] {
  const margin = " ".repeat(LABEL_WIDTH);
  return wrapped(words, margin, columns).map((text, i) =>
    i === 0 ? label.padEnd(LABEL_WIDTH) + text.slice(LABEL_WIDTH) : text,
  );
}

/** Words in lines of at most so many columns, each behind the margin. A word that is too long is cut. */
export function wrapped(text: string, margin: string, columns: number): string[] {
  const room = columns - margin.length;
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ").flatMap((one) => pieces(one, room))) {
    if (line !== "" && line.length + 1 + word.length > room) {
      lines.push(margin + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, margin + line].map((one) => one.trimEnd());
}

function pieces(word: string, room: number): string[] {
  const found: string[] = [];
  for (let at = 0; at === 0 || at < word.length; at += room) found.push(word.slice(at, at + room));
  return found;
}
