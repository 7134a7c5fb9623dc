/** Files that the page hands out: made here, and fetched from nowhere. */
import { element } from "./dom.ts";

/** A button that saves a file; its text is made when it is asked for. */
export function saveButton(label: string, name: string, type: string, text: () => string): HTMLButtonElement {
  const button = element("button", { type: "button", class: "quiet" }, label);
  button.addEventListener("click", () => {
    const href = URL.createObjectURL(new Blob([text()], { type }));
    element("a", { href, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(href), 60_000); // a download begins later
  });
  return button;
}
