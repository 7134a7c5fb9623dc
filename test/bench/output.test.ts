import { test } from "uvu";
import * as assert from "uvu/assert";
import { barLengths, chart, decades, escapeText, spread } from "../../bench/harness/chart.ts";
import { figureTable } from "../../bench/harness/figure-table.ts";
import { short, size } from "../../bench/harness/format.ts";
import { goals, plainRow, row, rowNames } from "../../bench/harness/goals.ts";
import { type Figure, fastest, figures, type Group } from "../../bench/harness/group.ts";
import { json } from "../../bench/harness/json.ts";
import { BEGIN, END, withFigures } from "../../bench/harness/page.ts";
import { markdownTable, textTable } from "../../bench/harness/table.ts";

const group: Group = {
  name: "example",
  title: 'Look-ups < "others" & more',
  unit: "ns per thing",
  sizes: "things",
  rows: [],
  run: async () => ({ figures: [], rows: [] }),
};

const found: readonly Figure[] = [
  { contender: "the core", size: 1024, minimum: 2, median: 3 },
  { contender: "C <fast>", size: 1024, minimum: 1, median: 1.5 },
  { contender: "the core", size: 1048576, minimum: 20, median: 30 },
  { contender: "C <fast>", size: 1048576, minimum: 10, median: 15 },
];

test("a row's ratio is ours over the rival's, and it is met up to its goal and not beyond", () => {
  const met = row("translate-batch-64k-vs-c", 1.1, 1, "C");
  assert.is(met.ratio, 1.1);
  assert.is(met.goal, 1.1);
  assert.is(met.met, true);
  assert.is(row("translate-batch-64k-vs-c", 1.11, 1, "C").met, false);
});

test("a row without a rival is held against one of its unit, so that its ratio is the figure", () => {
  const bytes = plainRow("core-bytes", 16384);
  assert.equal([bytes.ours, bytes.rival, bytes.rivalName, bytes.ratio, bytes.met], [16384, 1, "one byte", 16384, true]);
  assert.is(plainRow("core-bytes", 16385).met, false);
  assert.is(plainRow("check-single-bytes", 0).met, true);
  assert.is(plainRow("check-single-bytes", 0.1).met, false);
});

test("the JSON has machine, node and rows, and each row its eight fields in their order", () => {
  const rows = rowNames.map((name) => row(name, 1, 2, "a rival"));
  const text = json({ machine: "a machine", node: "v20.0.0" }, rows);
  assert.not.match(text, /\n/);
  const parsed = JSON.parse(text);
  assert.equal(Object.keys(parsed), ["machine", "node", "rows"]);
  assert.is(parsed.rows.length, Object.keys(goals).length);
  for (const each of parsed.rows) {
    assert.equal(Object.keys(each), ["name", "ours", "rival", "rivalName", "ratio", "unit", "goal", "met"]);
    assert.is(each.ratio, each.ours / each.rival);
    assert.is(each.met, each.ratio <= each.goal);
  }
});

test("a figure that JSON cannot say is an error and never null", () => {
  for (const wrong of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const rows = [row("core-bytes", wrong, 1, "one byte")];
    assert.throws(() => json({ machine: "", node: "" }, rows), /core-bytes: ours is/);
  }
});

test("figures are for one operation, and of several rivals the fastest is taken", () => {
  const timings = [
    { name: "C by one way", minimum: 30, median: 60 },
    { name: "C by another", minimum: 20, median: 80 },
    { name: "the core", minimum: 10, median: 10 },
  ];
  const all = figures(timings, 10, 1024);
  assert.equal(all[0], { contender: "C by one way", size: 1024, minimum: 3, median: 6 });
  assert.is(fastest(all, "C ", 1024)?.contender, "C by another");
  assert.is(fastest(all, "C ", 65536), undefined);
  assert.is(fastest(all, "DPDK", 1024), undefined);
});

test("figures are written with three digits, and sizes as powers of two", () => {
  assert.equal([0, 0.12345, 1.5, 2, 99.95, 123.4, 12345].map(short), [
    "0",
    "0.123",
    "1.50",
    "2",
    "100",
    "123",
    "12,345",
  ]);
  assert.is(short(Number.NaN), "-");
  assert.equal([122, 1024, 65536, 1048576, 1000].map(size), ["122", "1k", "64k", "1M", "1000"]);
});

test("a table has a line for each contender and a column for each size, smallest first", () => {
  const { header, body } = figureTable(group, [...found].reverse());
  assert.equal(header, ["ns per thing", "1k things", "1M things"]);
  assert.equal(body, [
    ["C <fast>", "1 (1.50)", "10 (15)"],
    ["the core", "2 (3)", "20 (30)"],
  ]);
});

test("a contender that has no figure at a size has an empty cell there", () => {
  const { body } = figureTable(group, found.slice(0, 3));
  assert.equal(body[1], ["C <fast>", "1 (1.50)", ""]);
});

test("columns of a text table are as wide as they need, and a bar does not end a cell of a page's", () => {
  assert.is(
    textTable(
      ["a", "b"],
      [
        ["long", "1"],
        ["x", "22"],
      ],
    ),
    "a      b\n----  --\nlong   1\nx     22",
  );
  assert.is(markdownTable(["a", "b"], [["x|y", "1"]]), "| a | b |\n|---|---:|\n| x\\|y | 1 |");
});

test("text in a chart is escaped, and what XML cannot say is left out", () => {
  assert.is(escapeText('a<b>&"c"\''), "a&#60;b&#62;&#38;&#34;c&#34;&#39;");
  assert.is(escapeText("a\u0000\u0008b\tc\u001f"), "ab\tc");
});

/** Every element that opens is closed, and in order. */
function assertWellFormed(svg: string): void {
  const open: string[] = [];
  for (const [, closing, name = "", empty] of svg.matchAll(/<(\/?)([a-z]+)[^<>]*?(\/?)>/g)) {
    if (closing) assert.is(open.pop(), name);
    else if (!empty) open.push(name);
  }
  assert.equal(open, []);
  assert.not.match(svg, /NaN|undefined|Infinity/);
}

test("a chart over sizes is an SVG with every contender's name and a point for each figure", () => {
  const svg = chart(group, found);
  assertWellFormed(svg);
  assert.match(svg, /Look-ups &#60; &#34;others&#34; &#38; more/);
  assert.match(svg, /10 {2}C &#60;fast&#62;/);
  assert.is([...svg.matchAll(/<circle/g)].length, 4);
});

test("a chart of one size has a bar for each figure, and none of nothing at all", () => {
  const bars = [3, 30, 0].map((minimum, i) => ({ contender: `${i}`, minimum, median: minimum }));
  const svg = chart(group, bars);
  assertWellFormed(svg);
  const widths = [...svg.matchAll(/<rect x="[^"]+" y="[^"]+" width="([^"]+)"/g)].map(([, width]) => Number(width));
  assert.is(widths.length, 3);
  assert.ok((widths[1] as number) > (widths[0] as number) && (widths[0] as number) > (widths[2] as number));
});

test("bars are as long as what they stand for, unless one would be a hundred times another", () => {
  assert.equal(barLengths([1, 4, 2, 0]), { lengths: [0.25, 1, 0.5, 0], logarithmic: false });
  assert.equal(barLengths([1, 100, 10]).logarithmic, false);
  assert.equal(barLengths([1, 1000, 10, 0]), { lengths: [0, 1, 1 / 3, 0], logarithmic: true });
});

test("an axis has whole decades around all values, and one at least", () => {
  assert.equal(decades([0.2, 30]), { low: -1, high: 2 });
  assert.equal(decades([10]), { low: 1, high: 2 });
});

test("labels that would lie over each other are moved apart in their order", () => {
  assert.equal(spread([10, 11, 50], 15), [10, 25, 50]);
  assert.equal(spread([50, 12, 10], 15), [50, 25, 10]);
});

test("a page keeps all but what stands between its marks, and may be written again", () => {
  const page = `before\n${BEGIN}\nold\n${END}\nafter\n`;
  const written = withFigures(page, "new");
  assert.is(written, `before\n${BEGIN}\n\nnew\n\n${END}\nafter\n`);
  assert.is(withFigures(written, "new"), written);
});

test("a page without its marks, or with one of them twice, is not written", () => {
  for (const page of ["", BEGIN, END, `${END}${BEGIN}`, `${BEGIN}${BEGIN}${END}`, `${BEGIN}${END}${END}`]) {
    assert.throws(() => withFigures(page, "new"), /two marks/, page);
  }
});

test.run();
