/** The page as people use it: pasting, setting, reading, watching; with a keyboard alone, and on a phone. */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import { suite } from "uvu";
import * as assert from "uvu/assert";
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

planning.suite.run();

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

/** Texts of each kind, with markup wherever a text can have some. */
const HOSTILE: Readonly<Record<string, string>> = {
  "a log line": `vfio_container_dma_map(${MARKUP}) = -22 (Invalid argument)`,
  "an iomem": `00001000-0009fbff : System RAM ${MARKUP}\n00001000-x : ${MARKUP}\n`,
  "an iomem line that cannot be": `00002000-00001000 : System RAM ${MARKUP}`,
  "a plan": JSON.stringify({
    kind: MARKUP,
    rejected: [{ choice: MARKUP, reason: MARKUP }],
    warnings: [MARKUP],
    [MARKUP]: 1,
  }),
  "a trace": `{"trace":"dma-window","version":1,"kernel":"${MARKUP.replaceAll('"', "'")}"}`,
  "no JSON": `{${MARKUP}`,
};

for (const [what, hostile] of Object.entries(HOSTILE)) {
  safe(`is text and never markup: ${what}`, async (page) => {
    await paste(page, hostile);
    await page.waitForTimeout(50);
    const found = await page.evaluate(() => ({
      ran: (globalThis as { ran?: unknown }).ran,
      images: document.querySelectorAll("img, [onerror], [onload]").length,
      scripts: document.querySelectorAll("script").length,
    }));
    assert.equal(found, { ran: undefined, images: 0, scripts: 1 });
  });
}

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
  const seen = new Set<string>();
  for (let i = 0; i < 60; i++) {
    const at = await page.evaluate(() => {
      const { activeElement: one } = document;
      const { outlineStyle, outlineWidth } = getComputedStyle(one ?? document.body);
      return { id: one?.id || one?.className || "", outlined: outlineStyle !== "none" && outlineWidth !== "0px" };
    });
    if (at.id === "") break;
    assert.ok(at.outlined, `the focus is not seen at ${at.id}`);
    seen.add(at.id);
    await page.keyboard.press("Tab");
  }
  const controls = await page
    .locator("textarea, select:enabled, input:enabled, button")
    .evaluateAll((all) => all.map(({ id }) => id));
  assert.equal(
    controls.filter((id) => !seen.has(id)),
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
