/**
 * A picture as a page: one file that needs nothing else, also no network. It shows the picture without its program; with it each window
 * can be zoomed, by keys, wheel and fingers. The page allows no script but its own, whatever stands in a trace's note.
 */
import { bytes, hex } from "../hex.ts";
import type { Growth } from "./growth.ts";
import { growthSvg } from "./growth-svg.ts";
import { escaped, scriptJson } from "./markup.ts";
import { PAGE_SCRIPT, PAGE_SCRIPT_HASH } from "./page-script.ts";
import type { Picture, PictureRange, RangeKind, WindowPicture } from "./picture.ts";
import { cellsOf, stretchesOf } from "./scale.ts";
import { PATTERNS, pictureSvg, STYLE } from "./svg.ts";
import { headline, size } from "./words.ts";

/** More ranges than that become cells: a page has to be opened by a phone, too. */
const RANGES_MAX = 20_000;
const CELLS = 16_384;

const PAGE_STYLE = `
:root { color-scheme: light dark; }
body { margin: 0 auto; max-width: 60rem; padding: 0 1rem 2rem; font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; overflow-wrap: anywhere; }
svg { display: block; max-width: 100%; }
.dw { height: auto; }
.view { width: 100%; height: 64px; touch-action: none; cursor: grab; }
.view:focus-visible, button:focus-visible, .growth:focus-visible { outline: 3px solid #2a5d9c; outline-offset: 2px; }
.tools, .growth-tools { margin: .5rem 0; }
button { min-height: 44px; min-width: 44px; margin: 0 .25rem .25rem 0; font: inherit; }
.status, .inview { font-family: ui-monospace, monospace; font-size: .85rem; overflow-wrap: anywhere; }
.inview { padding-left: 2rem; }
.scroll, .growth { overflow-x: auto; }
.scroll > svg { min-width: 40rem; }
.growth > svg { max-width: none; min-width: 40rem; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; padding: .15rem .75rem .15rem 0; vertical-align: top; overflow-wrap: anywhere; }`;

export function pictureHtml(picture: Picture): string {
  const windows = picture.windows.map(windowData);
  const sections = picture.windows.map((window, i) => sectionOf(window, windows[i]?.isCoarse === true));
  return page(picture.title, [`<div class="scroll">${pictureSvg(picture)}</div>`, ...sections].join("\n"), {
    windows: windows.map(({ data }) => data),
  });
}

export function growthHtml(growth: Growth): string {
  const tools = `<div class="growth-tools" hidden>${buttons([
    ["in", "+", "Zoom in"],
    ["out", "−", "Zoom out"],
    ["all", "All", "Show all of it"],
  ])}<span class="growth-status" role="status"></span></div>`;
  const drawing = `<div class="growth" tabindex="0" role="group" aria-label="The drawing; plus, minus and Home zoom it">${growthSvg(growth)}</div>`;
  return page(growth.title, `${tools}\n${drawing}\n${growthTable(growth)}`, { windows: [] });
}

function page(title: string, body: string, data: object): string {
  const policy = `default-src 'none'; style-src 'unsafe-inline'; script-src '${PAGE_SCRIPT_HASH}'; base-uri 'none'; form-action 'none'`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escaped(title)}</title>
<style>${STYLE}${PAGE_STYLE}</style>
</head>
<body>
<h1>${escaped(title)}</h1>
${body}
<script type="application/json" id="data">${scriptJson(data)}</script>
<script>${PAGE_SCRIPT}</script>
</body>
</html>
`;
}

function sectionOf(window: WindowPicture, isCoarse: boolean): string {
  const coarse = isCoarse
    ? `<p>There are ${window.ranges.length} ranges: they are drawn as cells, each as high as the share of it that is live.</p>`
    : "";
  return `<section class="window">
<h2>${escaped(headline(window))}</h2>
<div class="tools" hidden>
${buttons([
  ["in", "+", "Zoom in"],
  ["out", "−", "Zoom out"],
  ["left", "◀", "To lower addresses"],
  ["right", "▶", "To higher addresses"],
  ["previous", "◀ live", "The live run before"],
  ["next", "live ▶", "The next live run"],
  ["all", "All", "All of the window"],
])}
<svg class="dw view" tabindex="0" role="application" aria-label="${escaped(window.name)} by address: plus and minus zoom, arrows move, n and p go to live runs, Home shows all">${PATTERNS}</svg>
<p class="status" role="status"></p>
<ol class="inview" aria-label="What is in view, from its lowest address on"></ol>
</div>
${coarse}
${regionTable(window)}
</section>`;
}

function buttons(of: readonly (readonly [string, string, string])[]): string {
  return of
    .map(([act, text, label]) => `<button type="button" data-act="${act}" aria-label="${label}">${text}</button>`)
    .join("");
}

function regionTable({ regions }: WindowPicture): string {
  if (regions.length === 0) return "";
  const rows = regions.slice(0, 256).map(({ name, pageSize, start, last, liveBytes }) => {
    const cells = [
      pageSize === undefined ? "" : bytes(pageSize),
      `${hex(start)}-${hex(last)}`,
      `${size(liveBytes)} of ${size(last - start + 1n)}`,
    ];
    const button = `<button type="button" data-start="${hex(start)}" data-last="${hex(last)}">${escaped(name)}</button>`;
    return `<tr><td>${button}</td>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr><th>region</th><th>pages</th><th>IOVAs</th><th>live</th></tr></thead>
<tbody>${rows.join("\n")}</tbody></table></div>`;
}

function growthTable({ columns }: Growth): string {
  const head = columns.map(({ name }) => `<th>${escaped(name)}</th>`).join("");
  const rows = (columns[0]?.frames ?? []).map(({ label }, i) => {
    const cells = columns.map(({ frames }) => {
      const frame = frames[i];
      return `<td>${frame === undefined ? "" : escaped(frame.lost ?? `${size(frame.liveBytes)} live`)}</td>`;
    });
    return `<tr><td>${escaped(label)}</td>${cells.join("")}</tr>`;
  });
  return `<div class="scroll"><table><thead><tr><th>moment</th>${head}</tr></thead><tbody>${rows.join("\n")}</tbody></table></div>`;
}

/** Where a range begins, its kind, and how much of it is live: it ends where the next one begins. */
type RangeData = readonly [string, RangeKind, number];

function windowData(window: WindowPicture): { readonly data: object; readonly isCoarse: boolean } {
  const { start, last, ranges } = window;
  const isCoarse = ranges.length > RANGES_MAX;
  const own = isCoarse
    ? coarse(ranges)
    : ranges.map(({ start: at, kind }): RangeData => [hex(at), kind, kind === "live" ? 1 : 0]);
  return { data: { start: hex(start), last: hex(last), ranges: own }, isCoarse };
}

/** Breaks as they are, pieces as cells. */
function coarse(ranges: readonly PictureRange[]): RangeData[] {
  const stretches = stretchesOf(ranges);
  const pieces = stretches.filter(({ type }) => type === "piece").length;
  const each = Math.floor(CELLS / Math.max(1, pieces));
  return stretches.flatMap((stretch): RangeData[] => {
    if (stretch.type === "break") return [[hex(stretch.start), (ranges[stretch.first] as PictureRange).kind, 0]];
    const size = stretch.last - stretch.start + 1n;
    const count = size < BigInt(each) ? Number(size) : each;
    return cellsOf(ranges, stretch, count).map(({ live, kind }, i): RangeData => {
      const at = stretch.start + (size * BigInt(i)) / BigInt(count);
      return [hex(at), live > 0 ? "live" : kind, live];
    });
  });
}
