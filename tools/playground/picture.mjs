// Makes docs/playground.png, the picture of the page in README: in Chromium, with a storm under way.
//
//     node tools/playground/picture.mjs [FILE]

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { chromium } from "playwright-core";
import { playgroundPage } from "../playground.mjs";

const to = process.argv[2] ?? fileURLToPath(new URL("../../docs/playground.png", import.meta.url));
const home = mkdtempSync(join(tmpdir(), "dma-window-picture-"));
const executablePath = process.env.DMA_WINDOW_CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, chromiumSandbox: process.getuid() !== 0 });
try {
  const file = join(home, "playground.html");
  writeFileSync(file, await playgroundPage());
  const page = await browser.newPage({ viewport: { width: 800, height: 700 }, colorScheme: "light" });
  await page.goto(pathToFileURL(file).href);
  for (let i = 0; i < 13; i++) await page.click("#storm-more");
  await page.locator("#storm").screenshot({ path: to });
  console.log(to);
} finally {
  await browser.close();
  rmSync(home, { recursive: true });
}
