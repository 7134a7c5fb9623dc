/** A picture of `src/picture`: as an image, which runs nothing and reaches nothing, and as text, for whoever does not see it. */
import type { Picture } from "../../src/picture/picture.ts";
import { pictureSvg } from "../../src/picture/svg.ts";
import { pictureText } from "../../src/picture/text.ts";
import { plainText } from "../../src/picture/words.ts";
import { element } from "./dom.ts";

/** Columns of the text: it stands on a phone, too. */
const COLUMNS = 60;

export function pictureOf(picture: Picture): HTMLElement[] {
  const alternative = `${plainText(picture.title)}: the text below says the same`;
  return [
    scrolled("Picture of the window", imageOf(pictureSvg(picture), alternative)),
    element(
      "details",
      {},
      element("summary", {}, "The picture as text"),
      scrolled("The picture as text", element("pre", {}, pictureText(picture, { columns: COLUMNS }))),
    ),
  ];
}

/** An SVG document in an image: no script in it would run, and nothing in it is fetched. */
export function imageOf(svg: string, alternative: string): HTMLElement {
  return element("img", { src: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svg)}`, alt: alternative });
}

/** What may be wider than the page: it is scrolled by itself, with the keyboard too. */
export function scrolled(label: string, content: Node): HTMLElement {
  return element("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": label }, content);
}
