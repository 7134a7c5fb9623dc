/** The figures' place in docs/bench/README.md: everything between two marks is written by a full run. */

export const BEGIN = "<!-- figures: begin. Written by `npm run bench`; what is changed here by hand is lost. -->";
export const END = "<!-- figures: end -->";

/** The page with other figures. Both marks must be there, once and in order. */
export function withFigures(page: string, figures: string): string {
  const [before, middle, ...more] = page.split(BEGIN);
  const [, after, ...evenMore] = (middle ?? "").split(END);
  if (before === undefined || after === undefined || more.length > 0 || evenMore.length > 0) {
    throw new Error("the page does not have its two marks, each once and the first before the second");
  }
  return `${before}${BEGIN}\n\n${figures.trim()}\n\n${END}${after}`;
}
