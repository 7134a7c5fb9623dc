/** Text in markup: whatever comes from elsewhere passes through here, and is text in the end. */
import { plainText } from "./words.ts";

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/** For elements and for attributes in quotes. */
export function escaped(text: string): string {
  return plainText(text).replace(/[&<>"']/g, (one) => ENTITIES[one] as string);
}

/** JSON that may stand in a script element: nothing in it ends the element, or opens a comment. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
