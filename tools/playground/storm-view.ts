/** The storm of `npm start` as it runs, on the software kernel in this page. */
import { SCHEMES, WHY_ALONE } from "../../src/cli/scheme-words.ts";
import { bytes, hex, roughly } from "../../src/hex.ts";
import { byId, element, table, wordsOf } from "./dom.ts";
import { Race, type Replacement, type Runner } from "./race.ts";
import { countOf, readSettings } from "./settings.ts";
import { PARTS, Strip } from "./strip.ts";

/** Pictures a second, where nobody asked for little motion. */
const FRAMES = 60;
const FEW_FRAMES = 2;

/** Of memory, of 2 MiB at most: half a million entries in the account of each scheme. */
const PAGES_MAX = 1024;

/** So many replacements of the window are listed, the last ones. */
const LISTED = 12;

export class StormView {
  readonly #out = byId("storm-out", HTMLElement);
  readonly #run = byId("storm-run", HTMLButtonElement);
  readonly #status = byId("storm-status", HTMLElement);
  readonly #strips = { fixed: new Strip(), dynamic: new Strip() };
  readonly #little = matchMedia("(prefers-reduced-motion: reduce)");
  #race: Race | undefined;
  #isRunning = false;
  /** When the last picture was drawn, and steps that were not whole then. */
  #drawn = 0;
  #owed = 0;

  constructor() {
    this.#run.addEventListener("click", () => (this.#isRunning ? this.#pause() : this.#start()));
    byId("storm-step", HTMLButtonElement).addEventListener("click", () => this.#stepBy(1));
    byId("storm-more", HTMLButtonElement).addEventListener("click", () => this.#stepBy(100));
    byId("storm-again", HTMLButtonElement).addEventListener("click", () => this.reset());
    for (const id of ["storm-seed", "storm-steps", "storm-pages"]) {
      byId(id, HTMLInputElement).addEventListener("change", () => this.reset());
    }
  }

  /** From the beginning, on the machine that the settings describe now. */
  reset(): void {
    this.#pause("");
    this.#race?.close();
    this.#race = undefined;
    try {
      const shape = { seed: countOf("storm-seed", 1, 2 ** 32 - 1), steps: countOf("storm-steps", 1, 100_000) };
      this.#race = new Race(readSettings(), countOf("storm-pages", 32, PAGES_MAX), shape);
      this.#layOut(this.#race);
      this.#draw();
    } catch (error) {
      this.#out.replaceChildren(element("p", { class: "problem", role: "alert" }, wordsOf(error)));
    }
    this.#enable();
  }

  #start(): void {
    if (this.#race === undefined || this.#race.isOver) this.reset();
    if (this.#race === undefined) return;
    this.#isRunning = true;
    this.#owed = 0;
    this.#drawn = performance.now();
    this.#enable();
    this.#say("The storm runs.");
    requestAnimationFrame((now) => this.#frame(now));
  }

  #pause(words = this.#race === undefined ? "" : `Paused after step ${this.#race.done}.`): void {
    this.#isRunning = false;
    this.#enable();
    this.#say(words);
  }

  #frame(now: number): void {
    if (!this.#isRunning || this.#race === undefined) return;
    const apart = 1000 / (this.#little.matches ? FEW_FRAMES : FRAMES);
    if (now - this.#drawn >= apart - 1) {
      this.#owed += (Math.min(now - this.#drawn, 1000) * Number(byId("storm-speed", HTMLSelectElement).value)) / 1000;
      this.#drawn = now;
      const whole = Math.floor(this.#owed);
      this.#owed -= whole;
      this.#advance(this.#race, whole);
      if (!this.#isRunning) return;
    }
    requestAnimationFrame((next) => this.#frame(next));
  }

  #stepBy(steps: number): void {
    if (this.#isRunning) this.#pause();
    if (this.#race === undefined || this.#race.isOver) this.reset();
    if (this.#race === undefined) return;
    this.#advance(this.#race, steps);
    if (!this.#race.isOver) this.#say(`After step ${this.#race.done}: ${summaryOf(this.#race)}`);
  }

  #advance(race: Race, steps: number): void {
    for (let i = 0; i < steps && race.step(); i++);
    this.#draw();
    if (race.isOver) this.#pause(`All ${race.steps} steps are done: ${summaryOf(race)}`);
  }

  #layOut({ kind, dynamic }: Race): void {
    const { fixed, dynamic: strip } = this.#strips;
    const one = (name: string, drawn: Strip) => element("figure", {}, element("figcaption", {}, name), drawn.svg);
    this.#out.replaceChildren(
      one(SCHEMES[kind], fixed),
      ...(dynamic === undefined ? [] : [one("dynamic scheme", strip)]),
      element("div", { id: "storm-table", class: "scroll" }),
      ...(kind === "spapr"
        ? []
        : [element("p", {}, `There is no other scheme beside it: ${WHY_ALONE[kind].join(" ")}`)]),
      element("ul", { id: "storm-log", "aria-label": "Windows that were replaced" }),
    );
  }

  #draw(): void {
    const race = this.#race;
    if (race === undefined) return;
    const { fixed, dynamic } = race;
    const widest = [fixed, dynamic].reduce((most, way) => max(most, way?.window?.size ?? 1n), 1n);
    drawStrip(this.#strips.fixed, fixed, widest);
    if (dynamic !== undefined) drawStrip(this.#strips.dynamic, dynamic, widest);
    byId("storm-table", HTMLElement).replaceChildren(accountOf(race));
    byId("storm-log", HTMLUListElement).replaceChildren(...linesOf(race));
    const progress = byId("storm-progress", HTMLProgressElement);
    progress.max = race.steps;
    progress.value = race.done;
  }

  #enable(): void {
    this.#run.textContent = this.#isRunning ? "Pause" : "Run";
  }

  #say(words: string): void {
    this.#status.textContent = words;
  }
}

function drawStrip(strip: Strip, way: Runner, widest: bigint): void {
  const { window, live } = way;
  const share = window === undefined ? 0 : Number((window.size * 10_000n) / widest) / 10_000;
  const where = window === undefined ? "no window yet" : `${bytes(window.size)} at ${hex(window.start)}`;
  strip.draw(share, way.shares(PARTS), `${where}, ${roughly(live)} live`);
}

function accountOf({ kind, done, steps, pages, pageSize, fixed, dynamic }: Race): HTMLElement {
  const ways = [fixed, dynamic].filter((way) => way !== undefined);
  const row = (label: string, of: (way: Runner) => string | number) => [label, ...ways.map((way) => String(of(way)))];
  const rows = [
    row("window", ({ window }) => (window === undefined ? "none" : bytes(window.size))),
    row("memory in use", ({ live }) => roughly(live)),
    ...(kind === "spapr" ? [row("window resized", ({ resizes }) => resizes)] : []),
    ...(kind === "noiommu" ? [] : [row("live pages interrupted", ({ interrupted }) => interrupted)]),
    row("failed steps", ({ failures, firstFailure }) =>
      failures === 0 ? 0 : `${failures}, the first: ${wordsOf(firstFailure)}`,
    ),
  ];
  const names = ["", SCHEMES[kind], ...(dynamic === undefined ? [] : ["dynamic scheme"])];
  return table(`After ${done} of ${steps} steps, in ${pages} pages of ${bytes(pageSize)}`, names, rows);
}

/** What became of the dynamic scheme's windows: the last of them, and how many there were before. */
function linesOf({ replacements, dynamic }: Race): HTMLElement[] {
  const listed = replacements.slice(-LISTED);
  const before = (dynamic?.resizes ?? 0) - listed.length;
  const first = before > 0 ? [element("li", {}, `${before} windows were replaced before`)] : [];
  return [...first, ...listed.map(lineOf)];
}

function lineOf({ step, from, to, interrupted }: Replacement): HTMLElement {
  const what = `step ${step}: the window of ${bytes(from)} is replaced by one of ${bytes(to)}`;
  return element("li", {}, `${what}, ${interrupted} live pages are interrupted`);
}

function summaryOf({ kind, fixed, dynamic }: Race): string {
  const words = (name: string, { resizes, interrupted, failures }: Runner) =>
    `${name}: ${resizes} resizes, ${interrupted} live pages interrupted, ${failures} failures`;
  const other = dynamic === undefined ? "" : `; ${words("dynamic scheme", dynamic)}`;
  return `${words(SCHEMES[kind], fixed)}${other}.`;
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
