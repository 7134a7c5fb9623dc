/** The page as people use it: pasting, setting, reading, watching; with a keyboard alone, and on a phone. */

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openContainer } from "../../src/container/open.ts";
import { MemsegTable } from "../../src/memory/table.ts";
import { modelKernel } from "../../src/model/index.ts";
import { planWindow } from "../../src/plan/index.ts";
import { parsePlan } from "../../src/plan/parse-plan.ts";
import { planToJson } from "../../src/plan/plan-json.ts";
import { recordTrace } from "../../src/trace/recorder.ts";
import { findChromium, type Opened, Playground } from "./browser.ts";

const chromium = findChromium();
if (chromium === undefined) console.log("skipped: there is no chromium here (apt-get install chromium)");

const playground = new Playground();

/** A suite of which each test has a page, which must have done nothing wrong. */
function pages(name: string) {
  const tests = suite(name);
  const run = (title: string, test: (page: Page, opened: Opened) => Promise<void>, options = {}) => {
    const each = chromium === undefined ? tests.skip : tests;
    each(title, async () => {
      const opened = await playground.open(options);
      try {
        await test(opened.page, opened);
        assert.equal(opened.wrong, []);
      } finally {
        await opened.close();
      }
    });
  };
  return Object.assign(run, { suite: tests });
}

const text = (page: Page, id: string) => page.locator(`#${id}`).innerText();

async function paste(page: Page, words: string): Promise<string> {
  await page.locator("#pasted").fill(words);
  await page.locator("#paste-read").click();
  return text(page, "pasted-said");
}

const first = suite("the browser");
first("starts", async () => {
  if (chromium !== undefined) await playground.start(chromium);
});
first.run();

const planning = pages("planning in the page");

planning("shows a plan at once, and what was rejected, with numbers", async (page) => {
  const said = await text(page, "plan-out");
  assert.match(said, "64 GiB at 0x0, for 64 GiB in IOVA mode rebased");
  assert.match(said, "2 MiB, so 32768 TCEs in 1 level");
  assert.match(said, /1 GiB pages\s+list 0 at 0x100000000 has 2 MiB pages/);
});

planning("makes another plan when platform, page size, mask or a limit changes", async (page) => {
  await page.selectOption("#platform", "type1");
  assert.match(await text(page, "plan-out"), /IOVAs\s+64 GiB at 0x100000000/);
  await page.fill("#iommu-bits", "36");
  assert.match(await text(page, "plan-out"), "0xfffffffff");
  await page.fill("#iommu-bits", "48");
  await page.fill("#memlock", "8M");
  assert.match(await text(page, "plan-out"), /RLIMIT_MEMLOCK/);
  await page.check("#privileged");
  assert.not.match(await text(page, "plan-out"), /What will not suffice/);
  await page.fill("#entries", "100");
  assert.match(await text(page, "plan-out"), /100\b.*dma_entry_limit|dma_entry_limit.*100\b/s);
  await page.fill("#device-bits", "32");
  assert.match(await text(page, "plan-out"), /no window can hold 64 GiB.*32/s);
});

planning("says which field cannot be, and what would pass", async (page) => {
  await page.fill("#memory", "64 potatoes");
  assert.match(await text(page, "settings-problem"), /Memory may grow to: .*64G.*got "64 potatoes"/);
  assert.is(await page.getAttribute("#memory", "aria-invalid"), "true");
  await page.fill("#memory", "1G");
  assert.is(await page.getAttribute("#memory", "aria-invalid"), null);
  assert.match(await text(page, "plan-out"), "1 GiB at 0x0");
});

planning("plans up to the highest RAM of an iomem that is pasted", async (page) => {
  const said = await paste(
    page,
    "# cat /proc/iomem\n00001000-0009fbff : System RAM\r\n100000000-207fffffff : System RAM\r\n",
  );
  assert.match(said, "the highest ends at 0x207fffffff");
  assert.match(await text(page, "plan-out"), "256 GiB at 0x0");
});

planning("says of an iomem without addresses who is shown them", async (page) => {
  assert.match(await paste(page, "00000000-00000000 : System RAM\n"), /hides physical addresses.*ERR_IOMEM_HIDDEN/);
});

planning("draws the window, and says the same in words", async (page) => {
  const image = page.locator("#plan-out img");
  assert.ok(await image.evaluate((one) => (one as HTMLImageElement).naturalWidth > 0), "the picture is drawn");
  await page.getByText("The picture as text").click();
  assert.match(await page.locator("#plan-out pre").innerText(), /0x0\b.*64 GiB/s);
});

planning("says which limit comes first, and what other pages would cost", async (page) => {
  await page.fill("#memlock", "1G");
  const said = await text(page, "plan-out");
  assert.match(said, /RLIMIT_MEMLOCK\s+64 GiB\s+1 GiB\s+at 1022 MiB of memory/);
  assert.match(said, /64 KiB\s+64 GiB\s+1048576\s+16 MiB/);
});

/** The file that a button of the page saves. */
async function saved(page: Page, button: string): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByText(button).click()]);
  return readFileSync(await download.path(), "utf8");
}

planning("hands out its plan, which a program loads, and which can be pasted again", async (page) => {
  await page.selectOption("#platform", "type1");
  await page.fill("#memory", "3G");
  const before = await text(page, "plan-out");
  const json = await saved(page, "Save the plan (JSON)");
  assert.is(parsePlan(json).needed, 3n << 30n);
  await page.fill("#memory", "5G");
  assert.match(await paste(page, json), "a plan for 4 GiB in pages of 2 MiB");
  const after = await text(page, "plan-out");
  assert.ok(before.startsWith(after.slice(0, after.indexOf("Save the plan"))), after);
  assert.match(await saved(page, "Save the picture (SVG)"), /^<svg /);
  assert.match(await saved(page, "Save it as a page that zooms"), /^<!doctype html>/);
});

planning("refuses a plan that cannot be, by its field, and keeps the one that is there", async (page) => {
  const before = await text(page, "plan-out");
  const plan = JSON.parse(await saved(page, "Save the plan (JSON)")) as object;
  assert.match(await paste(page, JSON.stringify({ ...plan, size: "0x3000" })), /size.*ERR_PLAN_MALFORMED/s);
  assert.match(await paste(page, "{"), /no JSON.*ERR_PLAN_MALFORMED/);
  assert.is(await text(page, "plan-out"), before);
});

planning("plans for a machine that is described", async (page) => {
  const machine = { platform: "powernv", name: "a large one", lists: [{ pageSize: "1G", bytes: "64T" }] };
  assert.match(await paste(page, JSON.stringify(machine)), "a large one: its plan stands below");
  assert.match(await text(page, "plan-out"), "64 TiB at 0x0");
});

planning.suite.run();

const explaining = pages("explaining in the page");

explaining("has the causes of an answer, with the check in the kernel and what to do", async (page) => {
  await page.selectOption("#explain-errno", "ENOSPC");
  assert.match(await text(page, "explain-out"), /dma_entry_limit.*What to do:.*vfio_iommu_type1\.c: vfio_dma_do_map/s);
  await page.selectOption("#platform", "powernv");
  await page.selectOption("#platform", "pseries");
  assert.is(await page.inputValue("#explain-platform"), "pseries");
  await page.selectOption("#explain-call", "VFIO_IOMMU_SPAPR_TCE_CREATE");
  assert.match(await text(page, "explain-out"), /tce_iommu_create/);
});

explaining("leaves out the causes of other versions of Linux, and says what is none", async (page) => {
  await page.fill("#explain-linux", "7.2.13");
  const newer = await text(page, "explain-out");
  await page.fill("#explain-linux", "");
  assert.ok(newer.length < (await text(page, "explain-out")).length);
  await page.fill("#explain-linux", "six");
  assert.is(await page.getAttribute("#explain-linux", "aria-invalid"), "");
});

explaining("finds call, answer and addresses in a line of a log", async (page) => {
  const line = "vfio_container_dma_map(0x55d0c2a3b2a0, 0xfee00000, 0x1000, 0x7f3a4c000000) = -22 (Invalid argument)";
  assert.match(
    await paste(page, `first a line about nothing\n\u001b[31m${line}\u001b[0m`),
    "It is about VFIO_IOMMU_MAP_DMA, which was answered EINVAL.",
  );
  assert.match(await text(page, "pasted-out"), /0xfee00000/);
  assert.match(await text(page, "pasted-out"), /iova-range/);
  await paste(page, "EAL:   cannot set up DMA remapping, error 12 (Cannot allocate memory)");
  assert.is(await page.inputValue("#explain-errno"), "ENOMEM");
  assert.match(await text(page, "explain-out"), /RLIMIT_MEMLOCK/);
});

explaining("says of a text that is nothing of all that what could be read", async (page) => {
  assert.match(await paste(page, "hello"), /none of what can be read.*Choose call and answer below/s);
  assert.match(await paste(page, "  "), "Nothing was pasted.");
});

/** Two maps where one may be: the second one is refused. */
function failingTrace(note?: string): readonly string[] {
  const lines: string[] = [];
  const kernel = recordTrace(
    modelKernel({ platform: "type1", dmaEntryLimit: 1 }),
    (line) => lines.push(line),
    note === undefined ? {} : { note },
  );
  const memory = new MemsegTable({ kernel });
  const list = memory.addList({ pageSize: 2 << 20, maxBytes: 64n << 20n });
  const container = openContainer({ kernel, groups: [26] });
  container.createWindow(planWindow({ memory, info: container.info() }));
  container.attach(memory);
  memory.allocate(list, 1);
  assert.throws(() => memory.allocate(list, 1));
  return lines;
}

explaining("reads a trace: what failed in it and why, and its windows after any line", async (page) => {
  const lines = failingTrace();
  assert.match(await paste(page, lines.join("\n")), `A trace of ${lines.length - 1} calls: 1 to look at.`);
  const failed = page.locator("#pasted-out summary", { hasText: "VFIO_IOMMU_MAP_DMA was answered ENOSPC" });
  await failed.click();
  assert.match(await text(page, "pasted-out"), /dma_entry_limit/);
  const before = await page.getAttribute("#pasted-out img", "src");
  await page.locator("#trace-line").focus();
  for (let i = 0; i < 6; i++) await page.keyboard.press("ArrowLeft");
  assert.is.not(await page.getAttribute("#pasted-out img", "src"), before);
});

explaining("says at which line a trace is torn", async (page) => {
  const lines = failingTrace();
  assert.match(await paste(page, [...lines.slice(0, 3), "{", ...lines.slice(3)].join("\n")), /4.*ERR_TRACE_MALFORMED/s);
});

explaining.suite.run();

const watching = pages("the storm in the page");

watching("interrupts nobody under the static window, and does under the other", async (page) => {
  for (let i = 0; i < 20; i++) await page.click("#storm-more");
  const [interrupted] = await page.locator("#storm-table tr", { hasText: "live pages interrupted" }).allInnerTexts();
  const [, fixed, dynamic] = (interrupted ?? "").split("\t").map(Number);
  assert.is(fixed, 0);
  assert.ok((dynamic ?? 0) > 1000, `${dynamic}`);
  assert.match(await text(page, "storm-status"), /All 2000 steps are done/);
  assert.match(await text(page, "storm-log"), /step \d+: the window of 512 MiB is replaced by one of 1 GiB/);
});

watching("is the same for the same seed, and another for another", async (page) => {
  const after = async (seed: string) => {
    await page.fill("#storm-seed", seed);
    await page.locator("#storm-seed").blur();
    await page.click("#storm-more");
    return text(page, "storm-table");
  };
  const [one, two, again] = [await after("7"), await after("8"), await after("7")];
  assert.is(one, again);
  assert.is.not(one, two);
});

watching("runs by itself, pauses, and goes on", async (page) => {
  const done = () => page.locator("#storm-progress").evaluate((bar) => (bar as HTMLProgressElement).value);
  await page.click("#storm-run");
  await page.waitForFunction(() => (document.getElementById("storm-progress") as HTMLProgressElement).value > 5);
  await page.click("#storm-run");
  const paused = await done();
  assert.match(await text(page, "storm-status"), `Paused after step ${paused}.`);
  await page.waitForTimeout(100);
  assert.is(await done(), paused);
  await page.click("#storm-step");
  assert.is(await done(), paused + 1);
});

watching("says why there is no second scheme without windows of the kernel's", async (page) => {
  await page.selectOption("#platform", "type1");
  assert.match(await text(page, "storm-out"), "type1 has no windows that are made and removed");
  await page.selectOption("#platform", "noiommu");
  assert.match(await text(page, "storm-out"), "without an IOMMU the kernel maps and unmaps nothing");
});

watching(
  "goes on with little motion where that is asked for",
  async (page) => {
    await page.selectOption("#storm-speed", "1000");
    await page.click("#storm-run");
    await page.waitForFunction(() => (document.getElementById("storm-progress") as HTMLProgressElement).value > 400);
  },
  { reducedMotion: "reduce" },
);

watching.suite.run();

const safe = pages("what is pasted");

const MARKUP = `</textarea></script><script>globalThis.ran=1</script><img src=x onerror="globalThis.ran=1"><svg onload="globalThis.ran=1">`;

/** A plan as it is stored, with other words in it. */
function storedPlan(words: string): string {
  const kernel = modelKernel({ platform: "type1" });
  const container = openContainer({ kernel, groups: [26] });
  const plan = planWindow({ memory: { lists: [] }, info: container.info(), growTo: 1n << 30n });
  return JSON.stringify({ ...planToJson(plan), warnings: [words], rejected: [{ choice: words, reason: words }] });
}

/** Texts of each kind, with markup wherever a text can have some; and whether the page shows it. */
const HOSTILE: Readonly<Record<string, readonly [pasted: string, isShown: boolean]>> = {
  "a log line": [`vfio_container_dma_map(${MARKUP}) = -22 (Invalid argument)`, false],
  "a log line about a path": [`open("/dev/vfio/26${MARKUP}") = -1 EBUSY ${MARKUP}`, false],
  "an iomem": [`00001000-0009fbff : System RAM ${MARKUP}\n00100000-001fffff : ${MARKUP}\n`, false],
  "an iomem that cannot be": [`00002000-00001000 : System RAM ${MARKUP.slice(0, 40)}`, true],
  "a plan": [storedPlan(MARKUP), true],
  "a plan that cannot be": [JSON.stringify({ kind: MARKUP, [MARKUP]: 1 }), false],
  "a machine": [JSON.stringify({ platform: "type1", name: MARKUP, lists: [{ bytes: "1G" }] }), true],
  "a trace": [failingTrace(MARKUP).join("\n"), true],
  "no JSON": [`{${MARKUP}`, false],
};

for (const [what, [hostile, isShown]] of Object.entries(HOSTILE)) {
  safe(`is text and never markup: ${what}`, async (page) => {
    await paste(page, hostile);
    await page.waitForTimeout(50);
    const found = await page.evaluate(() => ({
      ran: (globalThis as { ran?: unknown }).ran,
      images: document.querySelectorAll('img:not([src^="data:image/svg+xml"]), [onerror], [onload]').length,
      scripts: document.querySelectorAll("script").length,
      isShown: document.body.innerText.includes("</textarea></script><script>"),
    }));
    assert.equal(found, { ran: undefined, images: 0, scripts: 1, isShown });
  });
}

safe("keeps the fields that are there: a value is a value", async (page) => {
  await page.fill("#memory", '"><img src=x>');
  assert.match(await text(page, "settings-problem"), /got .*<img src=x>/);
});

safe("goes nowhere: the page's own policy refuses each connection", async (page, opened) => {
  let visits = 0;
  const server = createServer((_, response) => {
    visits++;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    const ends = await page.evaluate(async (there) => {
      const failed = (one: { onerror: unknown }) => new Promise((_, reject) => Object.assign(one, { onerror: reject }));
      const attempts = [
        fetch(`http://${there}/`),
        failed(Object.assign(new Image(), { src: `http://${there}/x.png` })),
        failed(new WebSocket(`ws://${there}/`)),
        failed(new EventSource(`http://${there}/`)),
      ];
      navigator.sendBeacon(`http://${there}/`, "x");
      return (await Promise.allSettled(attempts)).map(({ status }) => status);
    }, host);
    assert.equal(ends, ["rejected", "rejected", "rejected", "rejected"]);
    assert.is(visits, 0);
    const refused = opened.wrong.filter((line) => line.includes("console: policy: "));
    assert.is(refused.length, 5, refused.join("\n"));
  } finally {
    server.close();
  }
  opened.forget();
});

safe.suite.run();

const everybody = pages("the page for everybody");

everybody("is used with the keyboard alone, and shows where the focus is", async (page) => {
  await page.keyboard.press("Tab");
  assert.is(await page.evaluate(() => document.activeElement?.textContent), "Skip to the plan");
  const seen = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const at = await page.evaluate(() => {
      const { activeElement: one, body } = document;
      const { outlineStyle, outlineWidth } = getComputedStyle(one ?? body);
      const place = one === null || one === body ? -1 : [...document.querySelectorAll("*")].indexOf(one);
      return { place, what: one?.outerHTML.slice(0, 80), outlined: outlineStyle !== "none" && outlineWidth !== "0px" };
    });
    if (at.place < 0) break;
    assert.ok(at.outlined, `the focus is not seen at ${at.what}`);
    seen.add(at.place);
    await page.keyboard.press("Tab");
  }
  const controls = await page
    .locator("textarea, select:enabled, input:enabled, button, summary, .scroll")
    .evaluateAll((all) => {
      const everything = [...document.querySelectorAll("*")];
      return all
        .filter((one) => one.checkVisibility())
        .map((one) => ({ place: everything.indexOf(one), what: one.outerHTML.slice(0, 80) }));
    });
  assert.equal(
    controls.filter(({ place }) => !seen.has(place)),
    [],
  );
  await page.locator("#pasted").focus();
  await page.keyboard.insertText("00100000-7fffffff : System RAM");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.match(await text(page, "pasted-said"), "0x7fffffff");
  await page.locator("#storm-step").focus();
  await page.keyboard.press("Space");
  assert.match(await text(page, "storm-status"), "After step 1:");
});

everybody("has a name for each control, and nothing is said by an id twice", async (page) => {
  const found = await page.locator("textarea, select, input, button, progress, svg[role=img]").evaluateAll((all) =>
    all
      .filter((one) => {
        const { labels } = one as HTMLInputElement;
        return !(labels?.[0]?.textContent || one.getAttribute("aria-label") || one.textContent)?.trim();
      })
      .map((one) => one.outerHTML),
  );
  assert.equal(found, []);
  const ids = await page.locator("[id]").evaluateAll((all) => all.map(({ id }) => id));
  assert.is(new Set(ids).size, ids.length);
});

for (const width of [360, 768, 1400]) {
  everybody(
    `needs no scrolling to the side where there are ${width} pixels`,
    async (page) => {
      await page.selectOption("#platform", "type1");
      await page.fill("#device-bits", "20");
      for (let i = 0; i < 3; i++) await page.click("#storm-more");
      assert.is(await page.evaluate(() => document.documentElement.scrollWidth), width);
    },
    { viewport: { width, height: 800 } },
  );
}

/** Contrast as WCAG 2 has it, of a text on what is behind it. */
const contrasts = (page: Page) =>
  page
    .locator("h1, h2, label, button, dt, dd, th, td, p, li, a, caption, figcaption, input, select")
    .evaluateAll((all) => {
      const rgb = (colour: string) => (colour.match(/[\d.]+/g) ?? []).map(Number);
      const light = (colour: string) =>
        rgb(colour)
          .slice(0, 3)
          .map((part) => part / 255)
          .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
          .reduce((sum, part, i) => sum + part * ([0.2126, 0.7152, 0.0722][i] ?? 0), 0);
      const behind = (one: Element | null): string => {
        if (one === null) return "rgb(255, 255, 255)";
        const { backgroundColor } = getComputedStyle(one);
        return (rgb(backgroundColor)[3] ?? 1) === 0 ? behind(one.parentElement) : backgroundColor;
      };
      return all
        .filter((one) => one.textContent?.trim() && !(one as HTMLInputElement).disabled)
        .map((one) => {
          const [a, b] = [light(getComputedStyle(one).color), light(behind(one))];
          return { ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), what: one.outerHTML.slice(0, 80) };
        })
        .filter(({ ratio }) => ratio < 4.5)
        .map(({ ratio, what }) => `${ratio.toFixed(2)}: ${what}`);
    });

for (const colorScheme of ["light", "dark"] as const) {
  everybody(
    `can be read, ${colorScheme}`,
    async (page) => {
      await page.fill("#memlock", "8M");
      assert.equal(await contrasts(page), []);
      const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.is(ground, colorScheme === "light" ? "rgb(255, 255, 255)" : "rgb(15, 18, 22)");
    },
    { colorScheme },
  );
}

everybody.suite.after(() => playground.stop());
everybody.suite.run();
