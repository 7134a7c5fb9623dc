/** A growth as text: a line for each moment, time goes down. Several ways stand side by side. */
import { hex } from "../hex.ts";
import { type Frame, type FrameCell, fewer, type Growth, type GrowthColumn } from "./growth.ts";
import { inked, type Style, styleOf, type TextOptions, wrapped } from "./text.ts";
import { plainText, size } from "./words.ts";

const GAP = 2;
/** `1023.9 MiB`, and a blank before it. */
const SIZE_WIDTH = 11;

/** No line is longer than the columns, colours not counted. */
export function growthText({ title, columns, notes }: Growth, options?: TextOptions): string {
  const style = styleOf(options);
  const frames = Math.max(0, ...columns.map((column) => column.frames.length));
  const labels = Array.from({ length: frames }, (_, i) => plainText(columns[0]?.frames[i]?.label ?? ""));
  const wide = Math.max(4, ...labels.map(({ length }) => length));
  const each = Math.floor((style.columns - wide) / Math.max(1, columns.length)) - GAP;
  const head = `${" ".repeat(wide)}${columns.map(({ name }) => `  ${plainText(name).slice(0, each).padEnd(each)}`).join("")}`;
  const lines = labels.map((label, i) => {
    const parts = columns.map(({ axis, frames: own }) => stripOf(own[i], axis, each, style));
    return `${label.padStart(wide)}  ${parts.join("  ")}`.trimEnd();
  });
  const account = columns.flatMap((column) => [
    ...wrapped(`${column.name}: ${scaleWords(column)}`, "", style.columns),
    ...column.account.flatMap((text) => wrapped(text, "  ", style.columns)),
  ]);
  return [
    ...wrapped(plainText(title), "", style.columns),
    "",
    head.trimEnd(),
    ...lines,
    "",
    ...account,
    ...(notes.length === 0 ? [] : ["", ...notes.flatMap((note) => wrapped(plainText(note), "", style.columns))]),
  ].join("\n");
}

/** A moment of one way: its addresses, and how much of them is live, or what is lost. */
function stripOf(frame: Frame | undefined, axis: GrowthColumn["axis"], width: number, style: Style): string {
  if (frame === undefined) return " ".repeat(width);
  if (frame.lost !== undefined) return fit(frame.lost, width);
  const pieces = Math.max(1, frame.pieces.length);
  const room = Math.floor((width - SIZE_WIDTH - (axis.length - frame.pieces.length)) / pieces);
  // Cells by fours, so that cells of windows of a power of two are round.
  const each = room >= 8 ? Math.floor(room / 4) * 4 : Math.max(1, room);
  const cells: (FrameCell | "break")[] = [];
  let piece = 0;
  for (const { type } of axis) {
    if (type === "break") cells.push("break");
    else cells.push(...fewer(frame.pieces[piece++] ?? [], each));
  }
  const live = size(frame.liveBytes);
  // Where a terminal is too narrow for all of it, the beginning of the scale is what is shown.
  if (cells.length + 1 + live.length > width)
    return inked(cells.slice(0, width), style) + " ".repeat(Math.max(0, width - cells.length));
  return `${inked(cells, style)}${live.padStart(width - cells.length)}`;
}

function fit(text: string, width: number): string {
  const plain = plainText(text);
  return (plain.length > width ? `${plain.slice(0, Math.max(0, width - 3))}...` : plain).padEnd(width);
}

/** `0x0-0xfffffff, 256 MiB`. */
function scaleWords({ axis }: GrowthColumn): string {
  const [first, last] = [axis[0], axis.at(-1)];
  if (first === undefined || last === undefined) return "nothing was ever live";
  const breaks = axis.filter(({ type }) => type === "break").length;
  const cut = breaks === 0 ? "" : `, with ${breaks} break${breaks === 1 ? "" : "s"} where nothing is`;
  return `${hex(first.start)}-${hex(last.last)}, ${size(last.last - first.start + 1n)}${cut}`;
}
