/** What a text is that somebody pasted: told by its form, and checked by who reads it. */

export type Pasted =
  | { readonly kind: "iomem"; readonly text: string }
  | { readonly kind: "plan"; readonly text: string }
  | { readonly kind: "trace"; readonly lines: readonly string[] }
  | { readonly kind: "log"; readonly text: string };

/** More than this is no log line, and no plan: a trace of some hundred thousand calls. */
export const PASTED_MAX = 16 << 20;

const IOMEM = /^\s*[0-9a-f]{1,16}-[0-9a-f]{1,16} : /m;

/** `undefined` for nothing at all. */
export function recognise(pasted: string): Pasted | undefined {
  const text = pasted.replaceAll("\r\n", "\n");
  if (text.trim() === "") return undefined;
  if (/^\s*\{/.test(text)) {
    const [first = ""] = text.trimStart().split("\n", 1);
    if (/"trace"\s*:\s*"dma-window"/.test(first)) return { kind: "trace", lines: text.trim().split("\n") };
    return { kind: "plan", text };
  }
  return IOMEM.test(text) ? { kind: "iomem", text: unquoted(text) } : { kind: "log", text };
}

/** The lines of /proc/iomem alone: a terminal's prompt, and the command, were copied along. Indentation is the kernel's. */
function unquoted(text: string): string {
  return text
    .split("\n")
    .filter((line) => IOMEM.test(line))
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}
