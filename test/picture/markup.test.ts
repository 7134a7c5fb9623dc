/** SVG and pages: whatever stands in a trace or a plan is text in them. */
import { createHash } from "node:crypto";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { frameOf, type Growth } from "../../src/picture/growth.ts";
import { growthHtml, growthSvg, pictureHtml, pictureSvg, pictureText } from "../../src/picture/index.ts";
import { scriptJson } from "../../src/picture/markup.ts";
import { PAGE_SCRIPT, PAGE_SCRIPT_HASH } from "../../src/picture/page-script.ts";
import type { Picture } from "../../src/picture/picture.ts";
import { stretchesOf } from "../../src/picture/scale.ts";
import { liveRuns, MiB, PAGE, picture, TiB } from "./support.ts";

const markup = suite("markup");

/** Texts that a file may bring along. */
const hostile = [
  "</script><script>alert(1)</script>",
  "<img src=x onerror=alert(1)>",
  "</title></svg><script>alert(1)</script>",
  "\"><svg onload='alert(1)'>",
  "]]>--><!-- <![CDATA[",
  "javascript:alert(1)",
  "&lt;b&gt; &amp;",
  "\u001b[2J\u0007\u0000\u009b31m\u202eabc\u2028\u2029\ufeff",
];

function drawn(text: string): Picture {
  const live = liveRuns([{ start: 0n, last: MiB - 1n }]);
  const regions = [{ name: text, start: 0n, last: 2n * MiB - 1n, pageSize: PAGE }];
  return { title: text, windows: [picture({ name: text, live, regions })], notes: [text] };
}

function grown(text: string): Growth {
  const window = picture({ live: liveRuns([{ start: 0n, last: MiB - 1n }]) });
  const axis = stretchesOf(window.ranges, 1);
  const frames = [frameOf(text, axis, [window]), frameOf(text, axis, [], text)];
  return { title: text, columns: [{ name: text, axis, frames, account: [text] }], notes: [text] };
}

/** The elements of a document, by their names: what a parser would see between its brackets. */
function elementsIn(document: string): Set<string> {
  return new Set([...document.matchAll(/<([a-z!][a-z0-9-]*)/gi)].map(([, name = ""]) => name.toLowerCase()));
}

for (const text of hostile) {
  markup(`has no more elements for ${JSON.stringify(text).slice(0, 40)}`, () => {
    for (const [write, harmless] of [
      [pictureSvg, drawn("x")],
      [pictureHtml, drawn("x")],
    ] as const) {
      const [ours, theirs] = [write(harmless), write(drawn(text))];
      assert.equal([...elementsIn(theirs)].sort(), [...elementsIn(ours)].sort());
      assert.is(theirs.split("<script").length, ours.split("<script").length);
      // Outside of quotes, which escaped text cannot leave.
      const unquoted = theirs.replaceAll(PAGE_SCRIPT, "").replace(/"[^"]*"/g, '""');
      assert.not.match(unquoted, /<[^>]*\son[a-z]+\s*=/i, "an attribute that is a program");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
      assert.not.match(theirs, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e\u2028\u2029]/);
    }
    for (const write of [growthSvg, growthHtml]) {
      assert.equal([...elementsIn(write(grown(text)))].sort(), [...elementsIn(write(grown("x")))].sort());
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    assert.not.match(pictureText(drawn(text)), /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });
}

markup("of data in a page cannot end it, and is the same when it is read", () => {
  for (const text of hostile) {
    const written = scriptJson({ text });
    assert.not.match(written, /[<>&\u2028\u2029]/);
    assert.equal(JSON.parse(written), { text });
  }
});

markup("of a page allows its own program and nothing else", () => {
  const hash = createHash("sha256").update(PAGE_SCRIPT).digest("base64");
  assert.is(PAGE_SCRIPT_HASH, `sha256-${hash}`);
  assert.not.match(PAGE_SCRIPT, /innerHTML|insertAdjacent|document\.write|eval|Function\(|fetch|XMLHttp|import/);
  for (const page of [pictureHtml(drawn("x")), growthHtml(grown("x"))]) {
    assert.match(page, `default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-${hash}'`);
    assert.ok(page.includes(`<script>${PAGE_SCRIPT}</script>`));
    assert.not.match(page.replaceAll("http://www.w3.org/2000/svg", ""), /https?:|src=|@import|url\((?!#)/);
  }
});

markup("of a program that runs is correct JavaScript", () => {
  new Function(PAGE_SCRIPT);
});

markup("stays small where a window has very many ranges", () => {
  const live = Array.from({ length: 200_000 }, (_, i) => ({
    start: BigInt(i) << 28n,
    last: (BigInt(i) << 28n) + PAGE - 1n,
    value: 3,
  }));
  const many: Picture = { title: "many", windows: [picture({ last: 64n * TiB - 1n, live })], notes: [] };
  assert.ok(pictureSvg(many).length < 200_000);
  assert.ok(pictureHtml(many).length < 2_000_000);
});

markup("is well formed as XML", () => {
  for (const svg of [pictureSvg(drawn("a & b")), growthSvg(grown("a & b"))]) {
    const open: string[] = [];
    for (const [, end, name = "", self] of svg.matchAll(/<(\/?)([a-zA-Z]+)[^>]*?(\/?)>/g)) {
      if (end === "/") assert.is(open.pop(), name);
      else if (self !== "/") open.push(name);
    }
    assert.equal(open, []);
    assert.not.match(svg, /&(?!amp;|lt;|gt;|quot;|#39;)/);
  }
});

markup.run();
