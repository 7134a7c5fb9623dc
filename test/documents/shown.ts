/** Whether a command prints what its document shows. */

/** Times and rates differ from run to run, also in their width. */
const VARIES: readonly (readonly [RegExp, string])[] = [
  [/^( *a step, in microseconds).*$/gm, "$1 ..."],
  [/^(seconds|readsPerSecond|mibPerSecond|reads|interrupts|missed) +[\d.]+$/gm, "$1 ..."],
];

const plain = (text: string) => {
  const lines = text.replace(/[ \t]+$/gm, "").replace(/\n+$/, "");
  return VARIES.reduce((all, [pattern, by]) => all.replace(pattern, by), lines);
};

const literally = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** `[...]` on a line of its own stands for any lines, also none. */
export function isShown(shown: string, printed: string): boolean {
  if (!/^ *\[\.\.\.\]$/m.test(shown)) return plain(shown) === plain(printed);
  const parts = plain(shown).split(/^ *\[\.\.\.\]\n?/m);
  return new RegExp(`^${parts.map(literally).join("(?:.*\\n)*")}(?:.*\\n)*$`).test(`${plain(printed)}\n`);
}
