/** A window as a strip by address: the darker a part, the more of it is mapped. */
import { svgElement } from "./dom.ts";

export const PARTS = 64;

const [WIDTH, HEIGHT] = [640, 32];

/** One that is drawn again and again: its parts stay, and only what they show changes. */
export class Strip {
  readonly svg: SVGSVGElement;
  readonly #frame = svgElement("rect", { class: "frame", x: 0, y: 0, width: 0, height: HEIGHT });
  readonly #parts = Array.from({ length: PARTS }, () =>
    svgElement("rect", { class: "live", y: 1, height: HEIGHT - 2 }),
  );

  constructor() {
    const picture = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" };
    this.svg = svgElement("svg", { ...picture, class: "strip" }, this.#frame, ...this.#parts);
  }

  /** `share` of the whole width is the window; `label` is what is read aloud. */
  draw(share: number, shares: readonly number[], label: string): void {
    const width = WIDTH * Math.min(1, share);
    this.#frame.setAttribute("width", String(width));
    for (const [i, part] of this.#parts.entries()) {
      part.setAttribute("x", String((i * width) / PARTS));
      part.setAttribute("width", String(width / PARTS));
      part.setAttribute("opacity", String(shares[i] ?? 0));
    }
    this.svg.setAttribute("aria-label", label);
  }
}
