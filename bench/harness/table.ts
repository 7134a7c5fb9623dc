/** Tables, for a terminal and for a page. */

/** The first column to the left, all others to the right, as wide as they need. */
export function textTable(header: readonly string[], body: readonly (readonly string[])[]): string {
  const widths = header.map((_, column) => Math.max(...[header, ...body].map((line) => (line[column] ?? "").length)));
  const text = (line: readonly string[]): string =>
    widths
      .map((width, column) =>
        column === 0 ? (line[column] ?? "").padEnd(width) : (line[column] ?? "").padStart(width),
      )
      .join("  ")
      .trimEnd();
  return [text(header), widths.map((width) => "-".repeat(width)).join("  "), ...body.map(text)].join("\n");
}

/** The same in Markdown. What would end a cell is escaped. */
export function markdownTable(header: readonly string[], body: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  const rule = `|${header.map((_, column) => (column === 0 ? "---" : "---:")).join("|")}|`;
  return [line(header), rule, ...body.map(line)].join("\n");
}
