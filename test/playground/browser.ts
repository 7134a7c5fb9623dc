/** The page in a browser: Debian's chromium, without a window, from a file. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { playgroundPage } from "../../tools/playground.mjs";

/** A browser that is named has to be there; where none is, the usual ones are looked for. */
const named = process.env.DMA_WINDOW_CHROMIUM;
const USUAL = ["chromium", "chromium-browser", "google-chrome"];

function inPath(name: string): string | undefined {
  const places = (process.env.PATH ?? "").split(delimiter).map((directory) => join(directory, name));
  return [name, ...places].find((path) => path.startsWith("/") && existsSync(path));
}

/** The program; `undefined`: these tests are passed over. @throws for one that is named and not there. */
export function findChromium(): string | undefined {
  const found = (named === undefined ? USUAL : [named]).map(inPath).find((path) => path !== undefined);
  if (found !== undefined || named === undefined) return found;
  throw new Error(`DMA_WINDOW_CHROMIUM is ${named}, which is not there: apt-get install chromium`);
}

/** A page that is open, and all that it did which it should not. */
export interface Opened {
  readonly page: Page;
  /** Errors, what the console was told, what was asked of a network, and what the page's own policy refused. */
  readonly wrong: readonly string[];
  /** What was wrong was meant to be. */
  forget(): void;
  close(): Promise<void>;
}

export class Playground {
  readonly #home = mkdtempSync(join(tmpdir(), "dma-window-page-"));
  readonly #file = join(this.#home, "playground.html");
  #browser: Browser | undefined;

  async start(executablePath: string): Promise<void> {
    writeFileSync(this.#file, await playgroundPage());
    // Chromium has no sandbox for root.
    this.#browser = await chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0 });
  }

  /** A page of its own, which nothing of another one reaches. */
  async open(options: BrowserContextOptions = {}): Promise<Opened> {
    if (this.#browser === undefined) throw new Error("no browser was started");
    const context = await this.#browser.newContext({ viewport: { width: 1000, height: 900 }, ...options });
    const page = await context.newPage();
    const wrong: string[] = [];
    page.on("pageerror", (error) => wrong.push(`error: ${error.stack}`));
    page.on("console", (message) => wrong.push(`console: ${message.text()}`));
    page.on("request", (request) => {
      if (!/^(file|data|blob):/.test(request.url())) wrong.push(`request: ${request.url()}`);
    });
    // What tsx puts around functions that have names (esbuild: keepNames), those that are sent to the page too.
    await page.addInitScript("globalThis.__name = (named) => named");
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) => {
        console.error(`policy: ${effectiveDirective} refuses ${blockedURI}`);
      });
    });
    await page.goto(pathToFileURL(this.#file).href);
    const forget = () => wrong.splice(0);
    return { page, wrong, forget, close: () => context.close() };
  }

  async stop(): Promise<void> {
    await this.#browser?.close();
    rmSync(this.#home, { recursive: true });
  }
}
