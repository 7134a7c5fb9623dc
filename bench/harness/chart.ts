/**
 * A chart for each group, as SVG: lines over sizes where the cost grows with one, bars where there is one size only. The axis of
 * costs over sizes is logarithmic: what is ten times as fast lies as far away wherever it lies. Bars are as long as what they stand
 * for, unless the longest would be a hundred times the shortest.
 */
import { contendersOf, sizesOf } from "./figure-table.ts";
import { short, size } from "./format.ts";
import type { Figure, Group } from "./group.ts";

const WIDTH = 960;
const MARGIN = { left: 64, right: 350, top: 56, bottom: 56 };
const PLOT_HEIGHT = 320;
const BAR = 26;
const LABEL = 17;
const LETTER = 6.8;

/** Colours that stay apart on white, on black, and for most who see fewer; ours are the first. */
const COLOURS = [
  "#0a84c6",
  "#e2662c",
  "#1f9d63",
  "#b8459c",
  "#8a7a1a",
  "#6b6bd6",
  "#c9374a",
  "#4c8c95",
  "#8c6d5a",
  "#777777",
];

const STYLE = `text{font:12px system-ui,sans-serif;fill:#333}.title{font-size:15px;font-weight:600}.dim{fill:#777}
.grid{stroke:#ccc;stroke-width:1}.ground{fill:#fff}
@media (prefers-color-scheme:dark){text{fill:#ddd}.dim{fill:#999}.grid{stroke:#444}.ground{fill:#111}}`;

/** Whether XML can say this character at all: of those below a space it knows tab, line feed and carriage return. */
function isSayable(character: string): boolean {
  return character >= " " || "\t\n\r".includes(character);
}

/** Text that stands in SVG as what it is. */
export function escapeText(text: string): string {
  const names = new Map([..."&<>\"'"].map((each) => [each, `&#${each.charCodeAt(0)};`]));
  return [...text]
    .filter(isSayable)
    .map((each) => names.get(each) ?? each)
    .join("");
}

function text(x: number, y: number, content: string, extra = ""): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}"${extra}>${escapeText(content)}</text>`;
}

/** Powers of ten with everything between the first and the last; at least one decade. */
export function decades(values: readonly number[]): { readonly low: number; readonly high: number } {
  const positive = values.filter((value) => value > 0);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  return { low, high: Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive)))) };
}

/** Moves labels apart that would lie over each other; their order stays. */
export function spread(wanted: readonly number[], apart: number): number[] {
  const order = wanted.map((y, index) => ({ y, index })).sort((a, b) => a.y - b.y);
  let free = Number.NEGATIVE_INFINITY;
  const placed = [...wanted];
  for (const { y, index } of order) {
    const at = Math.max(y, free);
    placed[index] = at;
    free = at + apart;
  }
  return placed;
}

function frame(title: string, subtitle: string, height: number, content: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<title>${escapeText(title)}</title>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${WIDTH}" height="${height}"/>`,
    text(16, 24, title, ' class="title"'),
    text(16, 42, subtitle, ' class="dim"'),
    ...content,
    "</svg>",
    "",
  ].join("\n");
}

function lines(group: Group, figures: readonly Figure[]): string {
  const sizes = sizesOf(figures).map((each) => each ?? 0);
  const contenders = contendersOf(figures);
  const { low, high } = decades(figures.map(({ minimum }) => minimum));
  const right = WIDTH - MARGIN.right;
  const bottom = MARGIN.top + PLOT_HEIGHT;
  const x = (index: number): number => MARGIN.left + (index * (right - MARGIN.left)) / Math.max(1, sizes.length - 1);
  const y = (value: number): number => bottom - ((Math.log10(value) - low) / (high - low)) * PLOT_HEIGHT;
  const content: string[] = [];
  for (let decade = low; decade <= high; decade++) {
    const at = y(10 ** decade);
    content.push(`<line class="grid" x1="${MARGIN.left}" y1="${at.toFixed(1)}" x2="${right}" y2="${at.toFixed(1)}"/>`);
    content.push(text(MARGIN.left - 8, at + 4, String(10 ** decade), ' text-anchor="end"'));
  }
  sizes.forEach((each, index) => {
    content.push(text(x(index), bottom + 20, size(each), ' text-anchor="middle"'));
  });
  content.push(text((MARGIN.left + right) / 2, bottom + 40, group.sizes ?? "", ' text-anchor="middle" class="dim"'));

  const ends = contenders.map((contender) => {
    const own = figures.filter((figure) => figure.contender === contender);
    const last = own.reduce((a, b) => ((a.size ?? 0) >= (b.size ?? 0) ? a : b));
    return y(last.minimum);
  });
  const labels = spread(ends, LABEL);
  const lowest = Math.max(...labels);
  contenders.forEach((contender, index) => {
    const colour = COLOURS[index % COLOURS.length] as string;
    const own = figures
      .filter((figure) => figure.contender === contender)
      .map((figure) => ({ x: x(sizes.indexOf(figure.size ?? 0)), y: y(figure.minimum), figure }));
    const path = own.map((point, i) => `${i === 0 ? "M" : "L"}${point.x.toFixed(1)} ${point.y.toFixed(1)}`).join("");
    const dashes = index >= COLOURS.length ? ' stroke-dasharray="4 3"' : "";
    content.push(`<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"${dashes}/>`);
    for (const point of own)
      content.push(`<circle cx="${point.x.toFixed(1)}" cy="${point.y.toFixed(1)}" r="3" fill="${colour}"/>`);
    const end = own.at(-1);
    const label = labels[index] as number;
    content.push(
      `<line x1="${right + 4}" y1="${(ends[index] as number).toFixed(1)}" x2="${right + 16}" y2="${label.toFixed(1)}" stroke="${colour}"/>`,
      text(right + 20, label + 4, `${short(end?.figure.minimum ?? Number.NaN)}  ${contender}`),
    );
  });
  return frame(
    group.title,
    `${group.unit}, minimum; logarithmic`,
    Math.max(bottom + MARGIN.bottom, lowest + 24),
    content,
  );
}

/** How long each bar is, of 1; and whether that is by logarithm. Nothing at all has none, and no bar. */
export function barLengths(values: readonly number[]): { readonly lengths: number[]; readonly logarithmic: boolean } {
  const positive = values.filter((value) => value > 0);
  const longest = Math.max(...positive);
  if (longest <= 100 * Math.min(...positive)) {
    return { lengths: values.map((value) => Math.max(0, value) / longest), logarithmic: false };
  }
  const { low, high } = decades(positive);
  return {
    lengths: values.map((value) => (value > 0 ? (Math.log10(value) - low) / (high - low) : 0)),
    logarithmic: true,
  };
}

function bars(group: Group, figures: readonly Figure[]): string {
  // As wide as the longest name, by the width of most letters.
  const left = 24 + LETTER * Math.max(...figures.map(({ contender }) => contender.length));
  const width = WIDTH - left - 80;
  const { lengths, logarithmic } = barLengths(figures.map(({ minimum }) => minimum));
  const content = figures.flatMap(({ contender, minimum }, index) => {
    const top = MARGIN.top + index * BAR;
    const length = (lengths[index] as number) * width;
    return [
      text(left - 8, top + 16, contender, ' text-anchor="end"'),
      `<rect x="${left.toFixed(1)}" y="${top + 3}" width="${Math.max(1, length).toFixed(1)}" height="${BAR - 8}" fill="${COLOURS[index % COLOURS.length]}"/>`,
      text(left + length + 6, top + 16, short(minimum)),
    ];
  });
  const subtitle = `${group.unit}, minimum${logarithmic ? "; logarithmic" : ""}`;
  return frame(group.title, subtitle, MARGIN.top + figures.length * BAR + 16, content);
}

/** The chart of a group that has figures. */
export function chart(group: Group, figures: readonly Figure[]): string {
  return sizesOf(figures).length > 1 ? lines(group, figures) : bars(group, figures);
}
